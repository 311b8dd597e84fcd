import Foundation

/// How text looks on a stream: with a little colour on a terminal, and exactly as it is anywhere else.
///
/// Reports are plain text and know nothing of this; what is to stand out is found by how a line begins.
struct TerminalStyle: Equatable, Sendable {
    /// Whether there is a terminal that can draw a line again: where progress may be shown.
    let canRedraw: Bool
    /// Whether text may be coloured.
    let hasColour: Bool

    /// Judges a stream.
    ///
    /// - Parameter environment: `TERM` names the terminal, and any `NO_COLOR` that is not empty forbids colour
    ///   (no-color.org).
    init(isTerminal: Bool, environment: [String: String]) {
        let terminal = environment["TERM"] ?? ""
        canRedraw = isTerminal && !terminal.isEmpty && terminal != "dumb"
        hasColour = canRedraw && (environment["NO_COLOR"] ?? "").isEmpty
    }

    private init(descriptor: Int32) {
        self.init(isTerminal: isatty(descriptor) == 1, environment: ProcessInfo.processInfo.environment)
    }

    /// That of standard output.
    static let output = TerminalStyle(descriptor: STDOUT_FILENO)
    /// That of standard error.
    static let errors = TerminalStyle(descriptor: STDERR_FILENO)

    /// The text with verdicts, warnings, table headings and the next command standing out; the same text without colour.
    func styled(_ text: String) -> String {
        guard hasColour else { return text }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var isInTable = false
        var styled: [String] = []
        for (index, line) in lines.enumerated() {
            if !line.hasPrefix("  ") {
                isInTable = false
                styled.append(Self.styledBeginning(of: line))
            } else if !isInTable, index + 1 < lines.count, Self.isRule(lines[index + 1]) {
                isInTable = true
                styled.append(Self.bold.paint(line))
            } else {
                styled.append(String(line))
            }
        }
        return styled.joined(separator: "\n")
    }

    /// A sequence of the terminal's that changes how text looks, without its brackets.
    private struct Emphasis {
        let code: String

        func paint(_ text: some StringProtocol) -> String { "\u{1B}[\(code)m\(text)\u{1B}[0m" }
    }

    private static let bold = Emphasis(code: "1")
    private static let good = Emphasis(code: "1;32")
    private static let open = Emphasis(code: "1;33")
    private static let bad = Emphasis(code: "1;31")

    private static let beginnings: [(text: String, emphasis: Emphasis)] = [
        ("CERTIFIED:", good), ("CONFIRMED:", good), ("VALID:", good), ("READY:", good),
        ("NOT CERTIFIED:", open), ("UNDECIDED:", open), ("Warning:", open), ("beem: warning:", open),
        ("CONTRADICTED:", bad), ("NOT VALID:", bad), ("NOT READY:", bad), ("ALARM:", bad),
        ("ALARM since release,", bad),
        ("beem: error:", bad),
    ]

    private static func styledBeginning(of line: Substring) -> String {
        if line.hasPrefix("Next: ") { return bold.paint(line) }
        guard let beginning = beginnings.first(where: { line.hasPrefix($0.text) }) else { return String(line) }
        return beginning.emphasis.paint(beginning.text) + line.dropFirst(beginning.text.count)
    }

    /// Whether a line is the one of dashes under a table's titles.
    private static func isRule(_ line: Substring) -> Bool {
        line.hasPrefix("  -") && line.allSatisfy { $0 == "-" || $0 == " " }
    }
}
