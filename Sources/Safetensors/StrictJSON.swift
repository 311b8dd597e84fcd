/// A JSON value as it stands in a file: members in order, numbers as written.
///
/// Foundation's parser keeps one of two members of the same name and rounds integers through Double; a header that
/// lies must be caught, so the format's own JSON is read by this one.
enum StrictJSON: Equatable {
    case object([Member])
    case array([StrictJSON])
    case string(String)
    case number(String)
    case bool(Bool)
    case null

    /// One name and its value.
    struct Member: Equatable {
        var name: String
        var value: StrictJSON
    }

    /// Where and why parsing stopped.
    struct Failure: Error, Equatable {
        var offset: Int
        var reason: String
    }

    /// What the value is, for messages.
    var typeName: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .bool: "a boolean"
        case .null: "null"
        }
    }

    /// The value as an integer that was written as one and fits.
    var integer: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text)
    }

    /// The value of an object's member.
    subscript(name: String) -> StrictJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// Parses one value that fills the bytes, blanks around it apart.
    ///
    /// Refused besides what RFC 8259 refuses: two members of one name, invalid UTF-8, nesting deeper than 32.
    static func parse(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> StrictJSON {
        var parser = Parser(bytes: bytes)
        let value = try parser.value(depth: 0)
        parser.skipBlanks()
        guard parser.position == bytes.count else { throw parser.failure("something follows the value") }
        return value
    }
}

private struct Parser {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    private static let deepest = 32

    func failure(_ reason: String) -> StrictJSON.Failure { StrictJSON.Failure(offset: position, reason: reason) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    mutating func value(depth: Int) throws(StrictJSON.Failure) -> StrictJSON {
        guard depth < Self.deepest else { throw failure("values are nested too deeply") }
        skipBlanks()
        switch next {
        case nil: throw failure("the text ends where a value should begin")
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func object(depth: Int) throws(StrictJSON.Failure) -> StrictJSON {
        position += 1
        var members: [StrictJSON.Member] = []
        var names: Set<String> = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object([]) }
        repeat {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw failure("a member's name should begin here") }
            let name = try string()
            guard names.insert(name).inserted else { throw failure("the name '\(name)' stands twice in one object") }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw failure("a colon is missing after '\(name)'") }
            members.append(StrictJSON.Member(name: name, value: try value(depth: depth + 1)))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw failure("a comma or a closing brace is missing") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(StrictJSON.Failure) -> StrictJSON {
        position += 1
        var elements: [StrictJSON] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array([]) }
        repeat {
            elements.append(try value(depth: depth + 1))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw failure("a comma or a closing bracket is missing") }
        return .array(elements)
    }

    private mutating func literal(_ text: String, _ value: StrictJSON) throws(StrictJSON.Failure) -> StrictJSON {
        for byte in text.utf8 where !take(byte) { throw failure("a value should begin here") }
        return value
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func number() throws(StrictJSON.Failure) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let first = next
        let whole = digits()
        guard whole > 0 else { throw failure("a value should begin here") }
        guard whole == 1 || first != UInt8(ascii: "0") else { throw failure("a number starts with a needless zero") }
        if take(UInt8(ascii: ".")), digits() == 0 { throw failure("digits are missing after the point") }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            if digits() == 0 { throw failure("digits are missing in the exponent") }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func string() throws(StrictJSON.Failure) -> String {
        position += 1
        var characters: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: characters, as: UTF8.self) else {
                    throw failure("a string is not valid UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &characters)
            case 0..<0x20: throw failure("a string holds a control character")
            default: characters.append(byte)
            }
        }
        throw failure("a string does not end")
    }

    private mutating func escape(into characters: inout [UInt8]) throws(StrictJSON.Failure) {
        guard let byte = next else { throw failure("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): characters.append(byte)
        case UInt8(ascii: "b"): characters.append(0x08)
        case UInt8(ascii: "f"): characters.append(0x0C)
        case UInt8(ascii: "n"): characters.append(0x0A)
        case UInt8(ascii: "r"): characters.append(0x0D)
        case UInt8(ascii: "t"): characters.append(0x09)
        case UInt8(ascii: "u"):
            var code = try codeUnit()
            if (0xD800..<0xDC00).contains(code) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw failure("half a surrogate pair") }
                let low = try codeUnit()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
            characters.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw failure("an escape that JSON does not have")
        }
    }

    private mutating func codeUnit() throws(StrictJSON.Failure) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("four hexadecimal digits should stand here")
            }
            position += 1
            code = code << 4 | UInt32(digit)
        }
        return code
    }
}
