import Foundation
import Safetensors

/// Samples that were audited after release, one JSON object a line: `{"label": ..., "finalLabel": ..., "target": ...}`.
///
/// Labels are names of classes or their numbers. `finalLabel` is what the policy's reference says, the final layer
/// usually; `target` is the truth, where it is known. Which samples are audited must not depend on their score or exit.
public struct AuditLog: Sendable {
    /// One audited sample.
    public struct Record: Equatable, Sendable {
        /// What the policy said.
        public var label: Int
        /// What the reference says.
        public var finalLabel: Int
        /// The truth; nil where it is not known.
        public var target: Int?

        /// The policy's loss less the reference's: -1, 0 or 1; nil without the truth.
        public var difference: Double? {
            target.map { (label == $0 ? 0 : 1) - (finalLabel == $0 ? 0 : 1) }
        }
    }

    /// The file.
    public let path: String
    /// The names of the classes.
    public let classes: [String]

    /// Names a log.
    public init(path: String, classes: [String]) {
        self.path = path
        self.classes = classes
    }

    /// Reads the log in order, line by line; empty lines are passed over.
    ///
    /// - Throws: `InputError` that names the line, and whatever `body` throws.
    /// - Complexity: O(bytes); memory does not grow with them.
    public func forEach(
        _ body: (_ line: Int, _ record: Record) throws(InputError) -> Void
    ) throws(InputError) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw InputError(
                .unreadable, file: path, seen: "cannot be read (\(error.localizedDescription))",
                expected: "an audit log, a JSON object a line")
        }
        let decoder = JSONDecoder()
        var number = 0
        var start = data.startIndex
        while start < data.endIndex {
            let end = data[start...].firstIndex(of: UInt8(ascii: "\n")) ?? data.endIndex
            number += 1
            let line = data[start..<end]
            if line.contains(where: { $0 > UInt8(ascii: " ") }) {
                try body(number, record(line, number, decoder))
            }
            start = end < data.endIndex ? end + 1 : end
        }
    }

    /// A class by name or number.
    private enum Label: Decodable {
        case number(Int)
        case name(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else {
                self = .name(try container.decode(String.self))
            }
        }
    }

    private struct Line: Decodable {
        var label: Label
        var finalLabel: Label
        var target: Label?
    }

    private func record(_ text: Data, _ number: Int, _ decoder: JSONDecoder) throws(InputError) -> Record {
        let line: Line
        do {
            line = try decoder.decode(Line.self, from: text)
        } catch {
            throw InputError(
                .malformed, file: path, item: "line \(number)",
                seen: "'\(String(decoding: text.prefix(60), as: UTF8.self))'",
                expected: "an object with label, finalLabel and, where it is known, target",
                advice: "For example {\"label\": \"\(classes[0])\", \"finalLabel\": \"\(classes[0])\"}.")
        }
        return Record(
            label: try index(line.label, number, "label"), finalLabel: try index(line.finalLabel, number, "finalLabel"),
            target: try line.target.map { target throws(InputError) in try index(target, number, "target") })
    }

    private func index(_ label: Label, _ line: Int, _ key: String) throws(InputError) -> Int {
        func error(_ seen: String) -> InputError {
            InputError(
                .outOfRange, file: path, item: "line \(line): \(key)", seen: seen,
                expected: "a class of the policy (\(classes.prefix(8).joined(separator: ", "))) or its number in "
                    + "0..<\(classes.count)")
        }
        switch label {
        case .number(let number):
            guard classes.indices.contains(number) else { throw error("\(number)") }
            return number
        case .name(let name):
            guard let number = classes.firstIndex(of: name) else { throw error("'\(name)'") }
            return number
        }
    }
}
