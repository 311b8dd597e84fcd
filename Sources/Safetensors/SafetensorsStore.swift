import Foundation

/// Tensors by name, in one safetensors file or in the files that a `*.safetensors.index.json` lists.
///
/// The index lies in the folder of its files. It places tensors whole, in the usual Hugging Face form
/// `{"metadata": {...}, "weight_map": {"tensor": "file", ...}}`, or lists files that hold rows of the same tensors one after
/// the other, `{"row_shards": ["file", ...]}`. With both, `weight_map` places the tensors that have no rows.
public struct SafetensorsStore: Sendable {
    /// A file that holds some rows of every tensor that is not placed whole.
    public struct RowShard: Equatable, Sendable {
        /// The file, as the index names it, after the folder of the index.
        public var path: String
        /// Which rows of all they are.
        public var rows: Range<Int>
        /// The size of the file in bytes.
        public var byteCount: Int
    }

    /// The file or the index, as the user named it.
    public let path: String
    /// The one file, or the files of the index in the order of their names.
    public let files: [SafetensorsFile]
    /// The tensors: of the row shards in the order of the bytes of the first; otherwise file by file, in the order of their
    /// bytes.
    public let tensors: [TensorView]
    /// The texts of the metadata of all files and of the index.
    public let metadata: [String: String]
    /// The files whose rows follow one another, in that order; empty where there is one file, or all tensors are placed whole.
    public let rowShards: [RowShard]

    private let indices: [String: Int]
    /// The text of the index; nil for one file.
    private let index: Data?
    /// Row shards' own copies of tensors that are placed whole.
    private let copies: [TensorCopy]

    /// Opens a file, or an index and all its files.
    ///
    /// - Throws: what ``SafetensorsFile`` throws, for the file concerned; `malformed` for an index that is not of the
    ///   form above or names a file outside its folder; `missing` for a tensor that a file does not hold; `mismatch` for
    ///   files that contradict the index or one another; `unsupported` for more rows than 32 bits can count.
    /// - Complexity: O(headers).
    public init(opening path: String) throws(InputError) {
        guard path.hasSuffix(".json") else {
            self.init(try SafetensorsFile(opening: path))
            return
        }
        // One byte more than may be read tells that there are too many.
        let text = try MappedFile(opening: path).withUnsafeBytes { Data($0.prefix(SafetensorsHeader.longest + 1)) }
        try self.init(index: text, path: path)
    }

    private init(_ file: SafetensorsFile) {
        path = file.path
        files = [file]
        tensors = file.tensors
        metadata = file.metadata
        rowShards = []
        indices = Self.indices(of: file.tensors)
        index = nil
        copies = []
    }

    /// Opens the files of an index that need not be written yet.
    ///
    /// - Parameters:
    ///   - text: the index.
    ///   - path: where it stands or will stand.
    private init(index text: Data, path: String) throws(InputError) {
        let listed = try ShardIndex(reading: text, path: path)
        let folder = (path as NSString).deletingLastPathComponent
        let rowShardNames = Set(listed.rowShards)
        var opened: [String: SafetensorsFile] = [:]
        var metadata = listed.metadata
        for name in listed.names {
            let file = try SafetensorsFile(opening: folder.isEmpty ? name : "\(folder)/\(name)")
            if rowShardNames.contains(name) {
                try listed.checkPlaced(in: file, name: name, index: path)
            } else {
                try listed.check(file, name: name, index: path)
            }
            try Self.merge(file, into: &metadata, index: path)
            opened[name] = file
        }
        let rows = listed.rowShards.isEmpty ? nil : try RowShards(listed, path: path, files: opened)
        var tensors: [TensorView] = []
        var copies: [TensorCopy] = []
        let first = listed.rowShards.first
        for name in listed.rowShards + listed.names.filter({ !rowShardNames.contains($0) }) {
            for tensor in opened[name]!.tensors {
                guard let place = listed.files[tensor.name] else {
                    if name == first, let whole = rows?[tensor.name] { tensors.append(whole) }
                    continue
                }
                if place == name {
                    tensors.append(tensor)
                } else {
                    copies.append(TensorCopy(tensor: tensor, original: opened[place]![tensor.name]!))
                }
            }
        }
        for copy in copies where copy.tensor.description != copy.original.description {
            throw copy.error(seen: "\(copy.tensor.elementType.rawValue) \(copy.tensor.shape)", index: path)
        }
        self.path = path
        self.files = listed.names.map { opened[$0]! }
        self.tensors = tensors
        self.metadata = metadata
        var end = 0
        rowShards = zip(listed.rowShards, rows?.rowCounts ?? []).map { name, count in
            let file = opened[name]!
            end += count
            return RowShard(path: file.path, rows: (end - count)..<end, byteCount: file.file.count)
        }
        indices = Self.indices(of: tensors)
        index = text
        self.copies = copies
    }

    private static func indices(of tensors: [TensorView]) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: tensors.indices.map { (tensors[$0].name, $0) })
    }

    private static func merge(
        _ file: SafetensorsFile, into metadata: inout [String: String], index: String
    ) throws(InputError) {
        for (key, text) in file.metadata.sorted(by: { $0.key < $1.key }) {
            if let other = metadata[key], other != text {
                throw InputError(
                    .mismatch, file: file.path, item: "\(SafetensorsHeader.metadataName).\(key)",
                    seen: "'\(text.prefix(60))'", expected: "'\(other.prefix(60))' as in another part of \(index)",
                    advice: "All shards of one index carry the same metadata, or one of them does.")
            }
            metadata[key] = text
        }
    }

    /// The names of the tensors, in their order.
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

    /// Checks that row shards' own copies of tensors that are placed whole are the same, byte for byte; opening compares no
    /// more than their types and shapes.
    ///
    /// - Throws: `mismatch`.
    /// - Complexity: O(bytes of the copies).
    public func checkCopies() throws(InputError) {
        for copy in copies where !copy.isEqual { throw copy.error(seen: "other numbers", index: path) }
    }

    /// The SHA-256 of the content, as 64 lowercase hexadecimal digits.
    ///
    /// For one file it is the hash of its bytes, as `sha256sum` prints it. For shards it is the hash of the lines
    /// `HASH  NAME` that `sha256sum` prints for the index and the shards in the order of their names.
    ///
    /// - Complexity: O(bytes), every time it is asked for.
    public func sha256() -> String { sha256 { files in files.map { $0.sha256() } } }

    /// The same with the files hashed by somebody else, side by side for example.
    ///
    /// - Parameter hashes: the SHA-256 of each of some files.
    public func sha256(hashing hashes: ([SafetensorsFile]) -> [String]) -> String {
        guard let index else { return hashes(files)[0] }
        var lines = [(Safetensors.sha256(of: index), path)]
        lines += zip(hashes(files), files.map(\.path))
        let text = lines.map { "\($0)  \(($1 as NSString).lastPathComponent)\n" }.joined()
        return Safetensors.sha256(of: Data(text.utf8))
    }
}

extension SafetensorsStore {
    /// Joins files that hold rows of the same tensors, as an index of them will; it is not written yet.
    ///
    /// - Parameters:
    ///   - rowShards: names of files in the folder of the index, in the order of their rows.
    ///   - whole: the file that each tensor without rows is placed in.
    ///   - path: where the index will stand.
    /// - Throws: as ``init(opening:)`` does.
    /// - Complexity: O(headers).
    public init(rowShards: [String], whole: [String: String], index path: String) throws(InputError) {
        try self.init(index: ShardIndex.text(rowShards: rowShards, files: whole), path: path)
    }

    /// Writes the index to its place, whole or not at all.
    ///
    /// - Throws: `unwritable`; what was there before is then untouched.
    public func writeIndex() throws(InputError) {
        guard let index else { preconditionFailure("files of an index") }
        try AtomicFile.write(index, to: path)
    }
}
