import Foundation
import Safetensors

extension Policy {
    /// Reads and checks a policy file.
    ///
    /// - Parameter path: the file.
    /// - Throws: `InputError` when the file cannot be read, is not a policy, is of a newer version, or holds values
    ///   that no policy has: the key is named.
    public init(reading path: String) throws(InputError) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw InputError(
                .unreadable, file: path, seen: "cannot be read", expected: "a policy file",
                advice: "Check the path; `beem run` writes `policy.json` into the recipe's output folder.")
        }
        try self.init(decoding: data, file: path)
    }

    /// Reads a policy from the bytes of a file; `file` is its name in messages.
    public init(decoding data: Data, file: String) throws(InputError) {
        let decoder = JSONDecoder()
        let head: Head
        do {
            head = try decoder.decode(Head.self, from: data)
        } catch {
            throw InputError(decoding: error, file: file, expected: "a policy")
        }
        guard head.format == Policy.formatName else {
            throw InputError(
                .malformed, file: file, item: "format", seen: head.format.map { "\"\($0)\"" } ?? "no such key",
                expected: "\"\(Policy.formatName)\"", advice: "Is this a policy file?")
        }
        guard let version = head.version, (1...Policy.currentVersion).contains(version) else {
            throw InputError(
                .unsupported, file: file, item: "version", seen: head.version.map { "\($0)" } ?? "no such key",
                expected: "1...\(Policy.currentVersion)",
                advice: "The policy was made by a newer tool: update the one that reads it.")
        }
        do {
            self = try decoder.decode(Policy.self, from: data)
        } catch {
            throw InputError(decoding: error, file: file, expected: "a policy")
        }
        try check(file: file)
    }

    /// Writes the policy, all or nothing: a file that was there before stays until the new one is complete.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    public func write(to path: String) throws(InputError) {
        try AtomicFile.write(encoded(), to: path)
    }

    /// The bytes of the policy's file: the same policy gives the same bytes.
    public func encoded() -> Data {
        do {
            return try JSONFile.encode(self)
        } catch {
            preconditionFailure("a policy holds finite numbers only: \(error)")
        }
    }

    private struct Head: Decodable {
        var format: String?
        var version: Int?
    }

    /// Checks what decoding alone does not.
    private func check(file: String) throws(InputError) {
        func require(_ condition: Bool, _ item: String, seen: String, expected: String) throws(InputError) {
            guard condition else {
                throw InputError(
                    .outOfRange, file: file, item: item, seen: seen, expected: expected,
                    advice: "Write the policy again with `beem run`; it is not made to be edited by hand.")
            }
        }
        try require(!classes.isEmpty, "classes", seen: "none", expected: "a name for each class")
        try require(!exits.isEmpty, "exits", seen: "none", expected: "one or more exits")
        if let memory = rule.memory {
            try require((0...1).contains(memory), "rule.memory", seen: "\(memory)", expected: "a number in 0...1")
        }
        if let tolerance = rule.tolerance {
            try require(
                tolerance >= 0 && tolerance.isFinite, "rule.tolerance", seen: "\(tolerance)",
                expected: "a number that is not negative")
            try require(
                !rule.kind.usesConfidence, "rule.tolerance", seen: "a tolerance for numbers",
                expected: "none with `\(rule.kind.rawValue)`, which needs classes")
        }
        for (position, exit) in exits.enumerated() {
            let name = "exits[\(position)]"
            try require(exit.index == position, "\(name).index", seen: "\(exit.index)", expected: "\(position)")
            let floor = position == 0 ? 0 : exits[position - 1].cost
            try require(
                exit.cost.isFinite && exit.cost > floor, "\(name).cost", seen: "\(exit.cost)",
                expected: "more than \(floor): costs are cumulative and strictly increasing")
            try require(
                exit.weight.isFinite && exit.weight >= 0, "\(name).weight", seen: "\(exit.weight)",
                expected: "a number that is not negative")
            try require(
                exit.temperature.isFinite && exit.temperature > 0, "\(name).temperature", seen: "\(exit.temperature)",
                expected: "a positive number")
            try require(
                exit.threshold?.isFinite ?? true, "\(name).threshold", seen: "\(exit.threshold ?? 0)",
                expected: "a finite number or null")
        }
        try require(
            exits[exits.count - 1].threshold == nil, "exits[\(exits.count - 1)].threshold", seen: "a threshold",
            expected: "null: at the final layer every sample leaves")
        if let costWithoutExits {
            try require(
                costWithoutExits.isFinite && costWithoutExits > 0 && costWithoutExits <= exits[exits.count - 1].cost,
                "costWithoutExits", seen: "\(costWithoutExits)",
                expected: "a positive number, at most the last exit's cost of \(exits[exits.count - 1].cost)")
        }
        if case .exit(let index)? = certificate?.reference {
            try require(
                exits.indices.contains(index), "certificate.reference", seen: "\(index)",
                expected: "`final` or an exit in 0..<\(exits.count)")
        }
        if let heads {
            try require(
                !heads.file.isEmpty && !heads.file.hasPrefix("/") && !heads.file.split(separator: "/").contains(".."),
                "heads.file", seen: "\"\(heads.file)\"", expected: "a path below the policy's folder")
        }
    }
}

/// How the toolkit writes JSON: readable, keys sorted, the same value the same bytes.
public enum JSONFile {
    /// The bytes of a value's file, ending in a line break.
    ///
    /// - Throws: `EncodingError` for numbers that are not finite.
    public static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var data = try encoder.encode(value)
        data.append(UInt8(ascii: "\n"))
        return data
    }
}

extension InputError {
    /// What a failed decoding means to the user: the key and what was wrong with it.
    public init(decoding error: any Error, file: String, expected: String) {
        func path(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String? {
            let keys = context.codingPath + (key.map { [$0] } ?? [])
            guard !keys.isEmpty else { return nil }
            return keys.reduce("") { text, key in
                if let index = key.intValue { return "\(text)[\(index)]" }
                return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
            }
        }
        switch error as? DecodingError {
        case .keyNotFound(let key, let context):
            self.init(
                .missing, file: file, item: path(context, key), seen: "no such key", expected: expected)
        case .typeMismatch(let type, let context):
            self.init(
                .malformed, file: file, item: path(context), seen: "a value of another type", expected: "\(type)")
        case .valueNotFound(let type, let context):
            self.init(.malformed, file: file, item: path(context), seen: "null", expected: "\(type)")
        case .dataCorrupted(let context):
            self.init(
                .malformed, file: file, item: path(context), seen: "not valid (\(context.debugDescription))",
                expected: "\(expected) in JSON with plain, finite numbers")
        default:
            self.init(.malformed, file: file, seen: "cannot be decoded (\(error))", expected: expected)
        }
    }
}
