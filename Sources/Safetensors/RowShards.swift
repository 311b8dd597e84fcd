/// Files that hold rows of the same tensors, as an index lists them, checked against one another.
struct RowShards {
    /// The index, and what it says.
    let index: ShardIndex
    let path: String
    /// In the order of their rows.
    private var shards: [Shard] = []

    /// A file, and its tensors that the index does not place whole.
    private struct Shard {
        var file: SafetensorsFile
        var tensors: [String: TensorView]
        var rows: Int
    }

    /// Checks the files that an index lists as row shards.
    ///
    /// - Parameters:
    ///   - index: what was read.
    ///   - path: the index as the user named it.
    ///   - files: all files of the index by their names in it.
    /// - Throws: `missing`, `mismatch` or `unsupported`, for the file concerned.
    /// - Complexity: O(tensors) for each file.
    init(_ index: ShardIndex, path: String, files: [String: SafetensorsFile]) throws(InputError) {
        self.index = index
        self.path = path
        var count = 0
        for name in index.rowShards {
            let shard = try Self.shard(files[name]!, whole: index.files)
            if let first = shards.first { try Self.check(shard, against: first) }
            count += shard.rows
            guard count <= Int(Int32.max) else {
                throw InputError(
                    .unsupported, file: shard.file.path, seen: "\(count) rows with those of the files before it",
                    expected: "at most \(Int32.max)", advice: "Give \(path) fewer files.")
            }
            shards.append(shard)
        }
    }

    /// How many rows each file has, in their order.
    var rowCounts: [Int] { shards.map(\.rows) }

    /// The tensor of a name, with the rows of all files; nil when it is placed whole or not there.
    subscript(name: String) -> TensorView? {
        guard shards[0].tensors[name] != nil else { return nil }
        return TensorView(rowsOf: shards.map { $0.tensors[name]! }, path: path)
    }

    /// A file by itself: all its tensors that are not placed whole have a row for each of the same samples.
    private static func shard(_ file: SafetensorsFile, whole: [String: String]) throws(InputError) -> Shard {
        let tensors = file.tensors.filter { whole[$0.name] == nil }
        guard let first = tensors.first else {
            throw InputError(
                .missing, file: file.path, seen: "no tensor but those that weight_map places whole",
                expected: "tensors of which this file holds some rows", advice: "Take the file out of row_shards.")
        }
        for tensor in tensors {
            guard let rows = tensor.shape.first, rows > 0 else {
                throw InputError(
                    .mismatch, file: file.path, item: tensor.name, seen: "shape \(tensor.shape)",
                    expected: "rows, at least 1",
                    advice: tensor.shape.isEmpty
                        ? "Place a tensor without rows whole, in weight_map." : "Take the file out of row_shards.")
            }
            guard rows == first.rowCount else {
                throw InputError(
                    .mismatch, file: file.path, item: tensor.name, seen: "\(rows) rows",
                    expected: "\(first.rowCount), as \(first.name) has in this file",
                    advice: "Write the file again, or place a tensor whose rows are no samples whole, in weight_map.")
            }
        }
        return Shard(
            file: file, tensors: Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) }), rows: first.rowCount)
    }

    /// Checks that a file has the tensors of the first, of the same types and extents.
    private static func check(_ shard: Shard, against first: Shard) throws(InputError) {
        let (path, model) = (shard.file.path, first.file.path)
        for name in first.tensors.keys.sorted() where shard.tensors[name] == nil {
            throw InputError(
                .missing, file: path, item: name, seen: "no tensor of this name",
                expected: "its rows of the tensor, as in \(model)",
                advice: "Write the file again, or place the tensor whole, in weight_map.")
        }
        for (name, tensor) in shard.tensors.sorted(by: { $0.key < $1.key }) {
            guard let other = first.tensors[name] else {
                throw InputError(
                    .mismatch, file: path, item: name, seen: "a tensor that \(model) does not have",
                    expected: "the same tensors in all files of row_shards",
                    advice: "Write the files again, with this tensor in all or in none.")
            }
            guard tensor.elementType == other.elementType else {
                throw InputError(
                    .mismatch, file: path, item: name, seen: "elements of type \(tensor.elementType.rawValue)",
                    expected: "\(other.elementType.rawValue), as in \(model)",
                    advice: "Convert the tensor to that type.")
            }
            guard tensor.shape.dropFirst() == other.shape.dropFirst() else {
                throw InputError(
                    .mismatch, file: path, item: name, seen: "shape \(tensor.shape)",
                    expected: "any number of rows of \(other.shape.dropFirst()), as in \(model)",
                    advice: "Only the number of rows may differ between the files of row_shards.")
            }
        }
    }
}
