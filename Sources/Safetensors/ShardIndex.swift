import Foundation

/// A `*.safetensors.index.json`, checked: which files of its folder belong together, and how.
struct ShardIndex {
    /// The files whose rows follow one another, in that order; empty where every tensor is placed whole.
    var rowShards: [String]
    /// The file that each whole tensor is placed in.
    var files: [String: String]
    /// The texts of its metadata; what is no text (`total_size`) is left out.
    var metadata: [String: String]

    /// All files, each once, in the order of their names.
    var names: [String] { Set(rowShards + files.values).sorted() }

    /// Reads the text of an index.
    ///
    /// - Parameters:
    ///   - text: JSON.
    ///   - path: the index as the user named it.
    /// - Throws: `malformed`.
    init(reading text: Data, path: String) throws(InputError) {
        let form = Form(path: path)
        guard text.count <= SafetensorsHeader.longest else {
            throw form.error(nil, seen: "more than \(SafetensorsHeader.longest) bytes", expected: "at most as many")
        }
        let value = try form.object(text)
        (rowShards, files, metadata) = ([], [:], [:])
        if let shards = value["row_shards"] { rowShards = try form.rowShards(shards) }
        guard value["row_shards"] != nil || value["weight_map"] != nil else {
            throw form.error(
                "weight_map", seen: "neither it nor row_shards",
                expected: "an object that names a file for each tensor, or a list of files that hold rows of all")
        }
        if let map = value["weight_map"] {
            guard case .object(let members) = map, !members.isEmpty || !rowShards.isEmpty else {
                throw form.error(
                    "weight_map", seen: map.typeName, expected: "an object that names a file for each tensor")
            }
            for member in members { files[member.name] = try form.fileName(member.value, "weight_map.\(member.name)") }
        }
        guard case .object(let members)? = value["metadata"] else { return }
        for member in members {
            if case .string(let text) = member.value { metadata[member.name] = text }
        }
    }

    /// The text of an index without metadata of its own; one that can be read back if the names may stand in an index.
    ///
    /// - Parameters:
    ///   - rowShards: the files whose rows follow one another, in that order.
    ///   - files: the file that each whole tensor is placed in.
    static func text(rowShards: [String], files: [String: String]) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Texts alone can always be encoded.
        return try! encoder.encode(Text(row_shards: rowShards, weight_map: files.isEmpty ? nil : files))
            + Data("\n".utf8)
    }

    private struct Text: Encodable {
        var row_shards: [String]
        var weight_map: [String: String]?
    }

    /// Checks a file that holds whole tensors only: those that the index says it holds, and no others.
    func check(_ file: SafetensorsFile, name: String, index: String) throws(InputError) {
        for tensor in file.names where files[tensor] != name {
            throw InputError(
                .mismatch, file: file.path, item: tensor, seen: "a tensor that the index does not place in this file",
                expected: files[tensor].map { "it in \($0) only" } ?? "only tensors that the index lists",
                advice: "Write \(index) again.")
        }
        try checkPlaced(in: file, name: name, index: index)
    }

    /// Checks that a file holds the whole tensors that the index says it holds.
    func checkPlaced(in file: SafetensorsFile, name: String, index: String) throws(InputError) {
        for (tensor, place) in files.sorted(by: { $0.key < $1.key }) where place == name && file[tensor] == nil {
            throw InputError(
                .missing, file: file.path, item: tensor, seen: "no tensor of this name",
                expected: "the tensor, because \(index) places it here", advice: "Write the index again.")
        }
    }
}

/// What the parts of an index look like.
private struct Form {
    let path: String

    func error(_ item: String?, seen: String, expected: String) -> InputError {
        InputError(
            .malformed, file: path, item: item, seen: seen, expected: expected,
            advice: "An index has the form {\"weight_map\": {\"TENSOR\": \"FILE.safetensors\"}}, or "
                + "{\"row_shards\": [\"FILE.safetensors\"]}, or both.")
    }

    func object(_ text: Data) throws(InputError) -> StrictJSON {
        // Data's own withUnsafeBytes loses the type of the error.
        let parsed: Result<StrictJSON, StrictJSON.Failure> = text.withUnsafeBytes { bytes in
            do throws(StrictJSON.Failure) { return .success(try StrictJSON.parse(bytes)) } catch {
                return .failure(error)
            }
        }
        switch parsed {
        case .success(let value):
            guard case .object = value else { throw error(nil, seen: value.typeName, expected: "a JSON object") }
            return value
        case .failure(let failure):
            throw error(nil, seen: "\(failure.reason), at byte \(failure.offset)", expected: "a JSON object")
        }
    }

    /// The name of a file in the folder of the index.
    func fileName(_ value: StrictJSON, _ item: String) throws(InputError) -> String {
        guard case .string(let name) = value else {
            throw error(item, seen: value.typeName, expected: "a file name")
        }
        guard !name.isEmpty, name != ".", name != "..", !name.contains(where: { "/\\\0".contains($0) }) else {
            throw error(item, seen: "'\(name)'", expected: "the name of a file beside the index")
        }
        return name
    }

    func rowShards(_ value: StrictJSON) throws(InputError) -> [String] {
        guard case .array(let elements) = value, !elements.isEmpty else {
            throw error(
                "row_shards", seen: value == .array([]) ? "an empty list" : value.typeName,
                expected: "a list of one or more files, in the order of their rows")
        }
        var places: [String: Int] = [:]
        return try elements.enumerated().map { place, element throws(InputError) in
            let name = try fileName(element, "row_shards[\(place)]")
            if let before = places.updateValue(place, forKey: name) {
                throw error(
                    "row_shards[\(place)]", seen: "'\(name)', which is row_shards[\(before)] too",
                    expected: "each file once")
            }
            return name
        }
    }
}
