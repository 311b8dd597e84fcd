import Foundation

/// Tensors by name, in one safetensors file or in the shards that a `*.safetensors.index.json` lists.
///
/// The index has the usual Hugging Face form: `{"metadata": {...}, "weight_map": {"tensor": "file", ...}}`. A tensor
/// lies in one shard, whole; shards lie in the folder of the index.
public struct SafetensorsStore: Sendable {
    /// The file or the index, as the user named it.
    public let path: String
    /// The one file, or the shards in the order of their names.
    public let files: [SafetensorsFile]
    /// The texts of the metadata of all files and of the index.
    public let metadata: [String: String]
    /// The index, mapped; nil for one file.
    private let index: MappedFile?

    /// Opens a file, or an index and all its shards.
    ///
    /// - Throws: what ``SafetensorsFile`` throws, for the shard concerned; `malformed` for an index that is not of the
    ///   form above or names a file outside its folder; `missing` for a tensor that its shard does not hold;
    ///   `mismatch` for shards that contradict the index or one another.
    /// - Complexity: O(headers).
    public init(opening path: String) throws(InputError) {
        self.path = path
        guard path.hasSuffix(".json") else {
            let file = try SafetensorsFile(opening: path)
            files = [file]
            metadata = file.metadata
            index = nil
            return
        }
        let mapped = try MappedFile(opening: path)
        let listed = try ShardIndex(reading: mapped)
        let folder = (path as NSString).deletingLastPathComponent
        var files: [SafetensorsFile] = []
        var metadata = listed.metadata
        for name in Set(listed.files.values).sorted() {
            let file = try SafetensorsFile(opening: folder.isEmpty ? name : "\(folder)/\(name)")
            try listed.check(file, name: name, index: path)
            for (key, text) in file.metadata {
                if let other = metadata[key], other != text {
                    throw InputError(
                        .mismatch, file: file.path, item: "\(SafetensorsHeader.metadataName).\(key)",
                        seen: "'\(text.prefix(60))'", expected: "'\(other.prefix(60))' as in another part of \(path)",
                        advice: "All shards of one index carry the same metadata, or one of them does.")
                }
                metadata[key] = text
            }
            files.append(file)
        }
        self.files = files
        self.metadata = metadata
        index = mapped
    }

    /// The tensors, file by file, in the order of their bytes.
    public var tensors: [TensorView] { files.flatMap(\.tensors) }

    /// The names of the tensors, file by file, in the order of their bytes.
    public var names: [String] { tensors.map(\.name) }

    /// The tensor of a name; nil when there is none.
    public subscript(name: String) -> TensorView? {
        for file in files {
            if let tensor = file[name] { return tensor }
        }
        return nil
    }

    /// The tensor of a name.
    ///
    /// - Throws: `missing`, with the nearest names in the message.
    public func tensor(_ name: String) throws(InputError) -> TensorView {
        guard let tensor = self[name] else { throw .missingTensor(name, in: path, names: names) }
        return tensor
    }

    /// The SHA-256 of the content, as 64 lowercase hexadecimal digits.
    ///
    /// For one file it is the hash of its bytes, as `sha256sum` prints it. For shards it is the hash of the lines
    /// `HASH  NAME` that `sha256sum` prints for the index and the shards, in that order.
    ///
    /// - Complexity: O(bytes), every time it is asked for.
    public func sha256() -> String {
        guard let index else { return Safetensors.sha256(of: files[0].file) }
        let lines = ([index] + files.map(\.file)).map { file in
            "\(Safetensors.sha256(of: file))  \((file.path as NSString).lastPathComponent)\n"
        }
        return Safetensors.sha256(of: Data(lines.joined().utf8))
    }
}

/// A `*.safetensors.index.json`, checked.
private struct ShardIndex {
    /// Tensor name to file name.
    var files: [String: String]
    /// The texts of its metadata; what is no text (`total_size`) is left out.
    var metadata: [String: String]

    init(reading file: MappedFile) throws(InputError) {
        let path = file.path
        func malformed(_ item: String?, seen: String, expected: String) -> InputError {
            InputError(
                .malformed, file: path, item: item, seen: seen, expected: expected,
                advice: "An index has the form {\"weight_map\": {\"TENSOR\": \"FILE.safetensors\"}}.")
        }
        guard file.count <= SafetensorsHeader.longest else {
            throw malformed(nil, seen: "\(file.count) bytes", expected: "at most \(SafetensorsHeader.longest) bytes")
        }
        let value: StrictJSON
        do {
            value = try file.withUnsafeBytes { bytes throws(StrictJSON.Failure) in try StrictJSON.parse(bytes) }
        } catch {
            throw malformed(nil, seen: "\(error.reason), at byte \(error.offset)", expected: "a JSON object")
        }
        guard case .object = value else { throw malformed(nil, seen: value.typeName, expected: "a JSON object") }
        guard case .object(let map)? = value["weight_map"], !map.isEmpty else {
            throw malformed(
                "weight_map", seen: value["weight_map"]?.typeName ?? "nothing",
                expected: "an object that names a file for each tensor")
        }
        files = [:]
        for member in map {
            guard case .string(let name) = member.value else {
                throw malformed("weight_map.\(member.name)", seen: member.value.typeName, expected: "a file name")
            }
            guard !name.isEmpty, name != ".", name != "..", !name.contains(where: { "/\\\0".contains($0) }) else {
                throw malformed(
                    "weight_map.\(member.name)", seen: "'\(name)'", expected: "the name of a file beside the index")
            }
            files[member.name] = name
        }
        metadata = [:]
        guard case .object(let members)? = value["metadata"] else { return }
        for member in members {
            if case .string(let text) = member.value { metadata[member.name] = text }
        }
    }

    /// Checks that a shard holds the tensors that the index says it holds, and no others.
    func check(_ file: SafetensorsFile, name: String, index: String) throws(InputError) {
        for tensor in file.names where files[tensor] != name {
            throw InputError(
                .mismatch, file: file.path, item: tensor, seen: "a tensor that the index does not place in this file",
                expected: files[tensor].map { "it in \($0) only" } ?? "only tensors that the index lists",
                advice: "Write \(index) again.")
        }
        for (tensor, place) in files.sorted(by: { $0.key < $1.key }) where place == name && file[tensor] == nil {
            throw InputError(
                .missing, file: file.path, item: tensor, seen: "no tensor of this name",
                expected: "the tensor, because \(index) places it here", advice: "Write the index again.")
        }
    }
}
