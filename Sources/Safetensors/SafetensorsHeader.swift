/// The header of a safetensors file, checked: what every tensor is, and which bytes of the file are its own.
///
/// The file is eight bytes with the length of the header (little-endian), the header (a JSON object, perhaps followed
/// by blanks), and the data, which the tensors divide among themselves without a gap, an overlap or a rest.
struct SafetensorsHeader: Equatable, Sendable {
    /// A tensor and the bytes of the file that it owns.
    struct Entry: Equatable, Sendable {
        var description: TensorDescription
        var bytes: Range<Int>
    }

    /// In the order of their bytes in the file.
    var tensors: [Entry]
    /// The texts of `__metadata__`.
    var metadata: [String: String]

    /// The longest header that is read; the limit of the format's own library.
    static let longest = 100_000_000
    /// The member of the header that is no tensor.
    static let metadataName = "__metadata__"
    /// The bytes before the header.
    static let prefixCount = 8
}

extension SafetensorsHeader {
    /// Reads and checks a header.
    ///
    /// - Parameters:
    ///   - file: all bytes of the file.
    ///   - path: the file as the user named it, for messages.
    /// - Throws: `malformed` for a header that the format does not allow, `unsupported` for an element type of the
    ///   format that this toolkit does not read.
    /// - Complexity: O(header); allocates nothing before the sizes are checked.
    init(reading file: UnsafeRawBufferPointer, path: String) throws(InputError) {
        let length = try Self.headerLength(file, path: path)
        let dataStart = Self.prefixCount + length
        let members = try Self.members(
            UnsafeRawBufferPointer(rebasing: file[Self.prefixCount..<dataStart]), path: path)
        metadata = [:]
        tensors = []
        for member in members {
            if member.name == Self.metadataName {
                metadata = try Self.metadata(member.value, path: path)
            } else {
                tensors.append(
                    try Self.entry(
                        member.name, member.value, dataStart: dataStart, dataCount: file.count - dataStart, path: path))
            }
        }
        tensors.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
        try checkThatTensorsFill(dataStart..<file.count, path: path)
    }

    private static func headerLength(_ file: UnsafeRawBufferPointer, path: String) throws(InputError) -> Int {
        let advice = "The file is truncated, or no safetensors file."
        guard file.count >= prefixCount else {
            throw InputError(
                .malformed, file: path, item: "header length", seen: "the file has only \(file.count) bytes",
                expected: "at least \(prefixCount) bytes", advice: advice)
        }
        let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(longest) else {
            throw InputError(
                .malformed, file: path, item: "header length", seen: "\(length) bytes",
                expected: "at most \(longest) bytes", advice: "This is no safetensors file.")
        }
        guard Int(length) <= file.count - prefixCount else {
            throw InputError(
                .malformed, file: path, item: "header length",
                seen: "\(length) bytes, of which the file holds \(file.count - prefixCount)",
                expected: "a header inside the file", advice: advice)
        }
        return Int(length)
    }

    private static func members(
        _ text: UnsafeRawBufferPointer, path: String
    ) throws(InputError) -> [StrictJSON.Member] {
        guard text.first == UInt8(ascii: "{") else {
            let seen = text.first.map { "it begins with the byte \($0)" } ?? "it is empty"
            throw InputError(
                .malformed, file: path, item: "header", seen: seen, expected: "a JSON object, beginning with '{'",
                advice: "This is no safetensors file.")
        }
        let value: StrictJSON
        do {
            value = try StrictJSON.parse(text)
        } catch {
            throw InputError(
                .malformed, file: path, item: "header", seen: "\(error.reason), at byte \(prefixCount + error.offset)",
                expected: "a JSON object", advice: "Write the file again.")
        }
        // What begins with a brace and parses is an object.
        guard case .object(let members) = value else { preconditionFailure("a JSON object") }
        return members
    }

    private static func metadata(_ value: StrictJSON, path: String) throws(InputError) -> [String: String] {
        guard case .object(let members) = value else {
            throw InputError(
                .malformed, file: path, item: metadataName, seen: value.typeName, expected: "an object of strings",
                advice: "Write the file again.")
        }
        var metadata: [String: String] = [:]
        for member in members {
            guard case .string(let text) = member.value else {
                throw InputError(
                    .malformed, file: path, item: "\(metadataName).\(member.name)", seen: member.value.typeName,
                    expected: "a string", advice: "The format allows only strings here; encode lists as JSON text.")
            }
            metadata[member.name] = text
        }
        return metadata
    }

    /// One tensor; `dataStart` and `dataCount` say where in the file the offsets count from, and how far they may go.
    private static func entry(
        _ name: String, _ value: StrictJSON, dataStart: Int, dataCount: Int, path: String
    ) throws(InputError) -> Entry {
        func malformed(_ part: String, seen: String, expected: String) -> InputError {
            InputError(
                .malformed, file: path, item: part.isEmpty ? name : "\(name): \(part)", seen: seen, expected: expected,
                advice: "Write the file again.")
        }
        guard case .object = value else {
            throw malformed("", seen: value.typeName, expected: "an object with dtype, shape and data_offsets")
        }
        guard let type = value["dtype"] else { throw malformed("dtype", seen: "nothing", expected: "an element type") }
        let elementType = try elementType(type, tensor: name, path: path)

        guard let extents = value["shape"] else { throw malformed("shape", seen: "nothing", expected: "an array") }
        guard case .array(let elements) = extents else {
            throw malformed("shape", seen: extents.typeName, expected: "an array of integers")
        }
        var shape: [Int] = []
        for element in elements {
            guard let extent = element.integer, extent >= 0 else {
                throw malformed("shape", seen: text(element), expected: "integers from 0 to \(Int.max)")
            }
            shape.append(extent)
        }
        guard let byteCount = TensorDescription.byteCount(shape: shape, elementType: elementType) else {
            throw malformed("shape", seen: "\(shape)", expected: "a size in bytes below 2^63")
        }

        guard let offsets = value["data_offsets"] else {
            throw malformed("data_offsets", seen: "nothing", expected: "an array of two integers")
        }
        guard case .array(let pair) = offsets, pair.count == 2, let begin = pair[0].integer, let end = pair[1].integer
        else {
            throw malformed("data_offsets", seen: text(offsets), expected: "an array of two integers")
        }
        guard begin >= 0, begin <= end, end <= dataCount else {
            throw malformed(
                "data_offsets", seen: "[\(begin), \(end)]",
                expected: "begin <= end, inside the \(dataCount) bytes of data (a truncated file looks like this too)")
        }
        guard end - begin == byteCount else {
            throw malformed(
                "data_offsets", seen: "\(end - begin) bytes",
                expected: "\(byteCount) bytes for \(elementType.rawValue) \(shape)")
        }
        return Entry(
            description: TensorDescription(name: name, elementType: elementType, shape: shape),
            bytes: (dataStart + begin)..<(dataStart + end))
    }

    private static func elementType(
        _ value: StrictJSON, tensor: String, path: String
    ) throws(InputError) -> ElementType {
        let served = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
        guard case .string(let type) = value else {
            throw InputError(
                .malformed, file: path, item: "\(tensor): dtype", seen: value.typeName, expected: "one of \(served)",
                advice: "Write the file again.")
        }
        if let elementType = ElementType(rawValue: type) { return elementType }
        throw InputError(
            ElementType.unserved.contains(type) ? .unsupported : .malformed, file: path, item: "\(tensor): dtype",
            seen: "'\(type)'", expected: "one of \(served)", advice: "Convert the tensor to one of these types.")
    }

    /// What was written, cut short, for messages.
    private static func text(_ value: StrictJSON) -> String {
        switch value {
        case .number(let digits): String(digits.prefix(40))
        case .string(let text): "the string '\(text.prefix(40))'"
        case .array(let elements) where elements.count <= 4: "[\(elements.map(text).joined(separator: ", "))]"
        case .array(let elements): "an array of \(elements.count) elements"
        default: value.typeName
        }
    }

    /// Checks that the tensors, in the order of their bytes, follow one another from the first byte of data to the last.
    private func checkThatTensorsFill(_ data: Range<Int>, path: String) throws(InputError) {
        var position = data.lowerBound
        var before = "the start of the data"
        for tensor in tensors {
            let name = tensor.description.name
            let begin = tensor.bytes.lowerBound
            guard begin >= position else {
                throw InputError(
                    .malformed, file: path, item: "\(name): data_offsets",
                    seen: "\(position - begin) of its bytes belong to '\(before)' too",
                    expected: "tensors that do not overlap", advice: "Write the file again.")
            }
            guard begin == position else {
                throw InputError(
                    .malformed, file: path, item: "\(name): data_offsets",
                    seen: "\(begin - position) bytes between \(before) and this tensor belong to none",
                    expected: "tensors without gaps between them", advice: "Write the file again.")
            }
            position = tensor.bytes.upperBound
            before = name
        }
        guard position == data.upperBound else {
            throw InputError(
                .malformed, file: path, item: "data",
                seen: "\(data.upperBound - position) bytes after the last tensor",
                expected: "a file that ends with its last tensor", advice: "Write the file again.")
        }
    }
}

extension SafetensorsHeader {
    /// The bytes that precede the data: the length, the header with sorted keys, and blanks up to a multiple of eight.
    ///
    /// - Parameters:
    ///   - tensors: in the order of their data.
    ///   - metadata: the texts to store.
    static func bytes(tensors: [TensorDescription], metadata: [String: String]) -> [UInt8] {
        var members: [(name: String, text: String)] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append((metadataName, "{\(texts.joined(separator: ","))}"))
        }
        var begin = 0
        for tensor in tensors {
            let end = begin + tensor.byteCount
            let type = tensor.elementType.rawValue
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            members.append(
                (
                    tensor.name,
                    "{\"data_offsets\":[\(begin),\(end)],\"dtype\":\"\(type)\",\"shape\":[\(shape)]}"
                ))
            begin = end
        }
        members.sort { $0.name < $1.name }
        var text = Array("{\(members.map { "\(quoted($0.name)):\($0.text)" }.joined(separator: ","))}".utf8)
        while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    }

    /// A JSON string.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
