import Foundation
import Safetensors
import Yams

extension InputError {
    /// A text that is not YAML, or has a key twice: one line that begins with the place, as for wrong values. The parser's
    /// own message quotes the place over several lines, and for a key that is there twice the whole text.
    init(yaml error: any Error, file: String) {
        let expected = "a recipe in YAML"
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, let yaml),
            .parser(let context, let problem, let mark, let yaml),
            .composer(let context, let problem, let mark, let yaml):
            let circumstances =
                context.map { "\($0.description.trimmingCharacters(in: .whitespacesAndNewlines)) " } ?? ""
            self.init(
                .malformed, file: file, item: Self.place(mark), seen: "not YAML: \(circumstances)\(problem)",
                expected: expected, advice: Self.advice(problem, at: mark, in: yaml))
        case .duplicatedKeysInMapping(let duplicates, let context):
            self.init(
                .malformed, file: file, item: "\(duplicates[0]) (\(Self.place(context.mark)))",
                seen: "a key that stands here and again below", expected: "each key once", advice: "Remove one of them."
            )
        case .reader(let problem, let offset?, _, let yaml):
            let line = 1 + yaml.prefix(offset).count(where: \.isNewline)
            self.init(.malformed, file: file, item: "line \(line)", seen: "not YAML: \(problem)", expected: expected)
        default:
            let reason = "\(error)".split(whereSeparator: \.isNewline)
                .map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ")
            self.init(.malformed, file: file, seen: "not YAML (\(reason))", expected: expected)
        }
    }

    private static func place(_ mark: Mark) -> String { "line \(mark.line), column \(mark.column)" }

    /// What to do about the mistakes that are made most.
    private static func advice(_ problem: String, at mark: Mark, in yaml: String) -> String? {
        let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
        let line = lines.indices.contains(mark.line - 1) ? lines[mark.line - 1] : ""
        if line.prefix(while: \.isWhitespace).contains("\t") { return "Indent by spaces: YAML allows no tabs there." }
        if problem.contains("mapping values are not allowed") {
            return "Write `key: value` or `key: { ... }`, and keys of one mapping with the same indentation."
        }
        if problem.contains("'}'") || problem.contains("']'") { return "Close every bracket." }
        if problem.contains("unexpected end of stream") { return "Close every quotation mark." }
        return nil
    }
}
