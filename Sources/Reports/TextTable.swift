/// A table for a terminal: columns aligned, numbers to the right.
public struct TextTable: Sendable {
    /// How a column's cells stand.
    public enum Alignment: Sendable {
        /// Texts.
        case left
        /// Numbers.
        case right
    }

    private let titles: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// Creates a table from its columns.
    public init(_ columns: [(title: String, alignment: Alignment)]) {
        titles = columns.map(\.title)
        alignments = columns.map(\.alignment)
    }

    /// Adds a row, one cell for each column.
    public mutating func add(_ cells: [String]) {
        precondition(cells.count == titles.count, "a cell for each column")
        rows.append(cells)
    }

    /// The table's lines, each ending in a line break.
    public var text: String {
        let widths = titles.indices.map { column in ([titles] + rows).map { $0[column].count }.max()! }
        func line(_ cells: [String]) -> String {
            let padded = cells.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - cells[column].count)
                return alignments[column] == .left ? cells[column] + space : space + cells[column]
            }
            var text = "  " + padded.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }
        return line(titles) + line(widths.map { String(repeating: "-", count: $0) }) + rows.map(line).joined()
    }
}
