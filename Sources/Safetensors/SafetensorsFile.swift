/// A safetensors file, mapped, with its header checked.
public struct SafetensorsFile: Sendable {
    /// The mapped file.
    public let file: MappedFile
    /// The tensors in the order of their bytes in the file.
    public let tensors: [TensorView]
    /// The texts of `__metadata__`.
    public let metadata: [String: String]
    private let indices: [String: Int]

    /// Maps a file and checks its header.
    ///
    /// - Throws: `unreadable` when it cannot be opened, `malformed` when its header breaks a rule of the format,
    ///   `unsupported` when it holds an element type that this toolkit does not read.
    /// - Complexity: O(header).
    public init(opening path: String) throws(InputError) {
        let file = try MappedFile(opening: path)
        let header = try file.withUnsafeBytes { bytes throws(InputError) in
            try SafetensorsHeader(reading: bytes, path: path)
        }
        self.file = file
        tensors = header.tensors.map { TensorView($0, file: file) }
        metadata = header.metadata
        indices = Dictionary(uniqueKeysWithValues: tensors.indices.map { (header.tensors[$0].description.name, $0) })
    }

    /// The path as the user gave it.
    public var path: String { file.path }

    /// The names of the tensors in the order of their bytes in the file.
    public var names: [String] { tensors.map(\.name) }

    /// The tensor of a name; nil when there is none.
    public subscript(name: String) -> TensorView? { indices[name].map { tensors[$0] } }

    /// The tensor of a name.
    ///
    /// - Throws: `missing`, with the nearest names in the message.
    public func tensor(_ name: String) throws(InputError) -> TensorView {
        guard let tensor = self[name] else { throw .missingTensor(name, in: path, names: names) }
        return tensor
    }

    /// The SHA-256 of its bytes, as `sha256sum` prints it.
    ///
    /// - Complexity: O(bytes).
    public func sha256() -> String { Safetensors.sha256(of: file) }
}

extension InputError {
    /// The error for a tensor that is not there.
    static func missingTensor(_ name: String, in path: String, names: [String]) -> InputError {
        let near = nearestNames(to: name, among: names)
        let advice =
            near.isEmpty
            ? "The file holds \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", ..." : "")."
            : "Did you mean \(near.joined(separator: " or "))?"
        return InputError(
            .missing, file: path, item: name, seen: "no tensor of this name among \(names.count)",
            expected: "the tensor '\(name)'", advice: names.isEmpty ? "The file holds no tensors." : advice)
    }
}
