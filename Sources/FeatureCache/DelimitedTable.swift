import Foundation
import Safetensors
import SwiftCSV

/// A CSV or TSV file with a header, as texts.
public struct DelimitedTable: Sendable {
    /// The file, for messages.
    public let path: String
    /// The names of the columns.
    public let header: [String]
    /// [rows][columns]: as many texts as the header has.
    let rows: [[String]]

    /// Reads a file: tabs between columns where the name ends in `.tsv`, commas otherwise; UTF-8, with or without a byte
    /// order mark; quotes as in RFC 4180.
    ///
    /// - Throws: `InputError` for a file that cannot be read, has no row beside the header, or has a row of another
    ///   length.
    /// - Complexity: O(bytes); all texts are kept in memory. Millions of rows are better kept in safetensors.
    public init(reading path: String) throws(InputError) {
        let text = try String(
            readingFile: path, expected: "a table in CSV or TSV", advice: "Check the path and the encoding.")
        try self.init(parsing: text, path: path)
    }

    /// Reads a table from its text; `path` tells CSV and TSV apart, and stands in messages.
    public init(parsing text: String, path: String) throws(InputError) {
        let isTabbed = path.lowercased().hasSuffix(".tsv")
        // SwiftCSV drops an empty text at the end of the file unless a line break follows.
        let text = (text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text) + "\n"
        var rows: [[String]] = []
        do {
            let parsed = try CSV<NoView>(string: text, delimiter: isTabbed ? .tab : .comma, loadColumns: false)
            try parsed.enumerateAsArray(startAt: 0, rowLimit: nil) { rows.append($0) }
        } catch {
            let reason =
                switch error as? CSVParseError {
                case .generic(let message), .quotation(let message): message
                case nil: "\(error)"
                }
            throw InputError(
                .malformed, file: path, seen: "text that cannot be parsed (\(reason))",
                expected: "a table in \(isTabbed ? "TSV" : "CSV")",
                advice: "A quote inside a quoted text is written twice; outside, it stands alone nowhere.")
        }
        // SwiftCSV also takes the end of the file for the end of a quoted text. Quotes come in pairs, inside and outside.
        guard text.utf8.count(where: { $0 == UInt8(ascii: "\"") }).isMultiple(of: 2) else {
            throw InputError(
                .malformed, file: path, seen: "a quote that is not closed",
                expected: "a table in \(isTabbed ? "TSV" : "CSV")",
                advice: "A quote inside a quoted text is written twice.")
        }
        while rows.last == [""] { rows.removeLast() }
        guard let header = rows.first, rows.count > 1 else {
            throw InputError(
                .malformed, file: path, seen: rows.isEmpty ? "an empty file" : "a header and no rows",
                expected: "a header and rows")
        }
        if let wrong = rows.firstIndex(where: { $0.count != header.count }) {
            throw InputError(
                .malformed, file: path, item: "row \(wrong)", seen: "\(rows[wrong].count) texts",
                expected: "\(header.count), as many as the header has", advice: "Is the delimiter the right one?")
        }
        self.path = path
        self.header = header
        self.rows = Array(rows.dropFirst())
    }

    /// How many rows there are, the header not counted.
    public var rowCount: Int { rows.count }

    /// The place of a column.
    ///
    /// - Throws: `InputError` when there is none of that name, or two.
    func place(of column: String) throws(InputError) -> Int {
        let places = header.indices.filter { header[$0] == column }
        guard let place = places.first else {
            let nearest = nearestNames(to: column, among: header).first
            throw InputError(
                .missing, file: path, item: "column '\(column)'", seen: "no such column",
                expected: "one of \(header.prefix(20).joined(separator: ", "))\(header.count > 20 ? ", ..." : "")",
                advice: nearest.map { "Did you mean `\($0)`?" } ?? "Name the columns in the recipe.")
        }
        guard places.count == 1 else {
            throw InputError(
                .malformed, file: path, item: "column '\(column)'", seen: "\(places.count) columns of that name",
                expected: "one")
        }
        return place
    }

    /// The numbers of 32 bits for which a pattern is a column, ascending, each once.
    func numbers(matching pattern: String) -> [Int] {
        let parts = pattern.components(separatedBy: OutputColumns.placeholder)
        guard parts.count == 2 else { return [] }
        let numbers = header.compactMap { name -> Int? in
            guard name.count > parts[0].count + parts[1].count, name.hasPrefix(parts[0]), name.hasSuffix(parts[1])
            else { return nil }
            let middle = name.dropFirst(parts[0].count).dropLast(parts[1].count)
            guard middle.allSatisfy(\.isASCII), let number = Int32(middle), number >= 0, String(number) == middle
            else { return nil }
            return Int(number)
        }
        return Set(numbers).sorted()
    }

    /// [rows]: the texts of a column.
    public func texts(_ column: String) throws(InputError) -> [String] {
        let place = try place(of: column)
        return rows.map { $0[place] }
    }

    /// [rows]: the numbers of a column.
    ///
    /// - Throws: `InputError` that names the row for a text that is no finite number.
    public func numbers(_ column: String) throws(InputError) -> [Double] {
        let place = try place(of: column)
        var numbers: [Double] = []
        numbers.reserveCapacity(rows.count)
        for row in rows.indices { numbers.append(try number(row, place, column: column)) }
        return numbers
    }

    /// [rows]: the numbers of a column, rounded to Float32.
    ///
    /// - Throws: `InputError` that names the row for a text that is no finite number of that type.
    func floats(_ column: String) throws(InputError) -> [Float] {
        let values = try numbers(column)
        let floats = values.map { Float($0) }
        if let row = floats.firstIndex(where: { !$0.isFinite }) {
            throw InputError(
                .outOfRange, file: path, item: "row \(row + 1), column '\(column)'", seen: "\(values[row])",
                expected: "a number of 32 bits", advice: "Leave samples without it out.")
        }
        return floats
    }

    private func number(_ row: Int, _ place: Int, column: String) throws(InputError) -> Double {
        let text = rows[row][place]
        let number = Double(text.trimmingCharacters(in: .whitespaces))
        guard let number, number.isFinite else {
            throw InputError(
                number == nil ? .malformed : .notFinite, file: path, item: "row \(row + 1), column '\(column)'",
                seen: text.isEmpty ? "nothing" : "'\(text.prefix(40))'", expected: "a finite number",
                advice: "Leave samples without it out.")
        }
        return number
    }

    /// [rows]: the whole numbers of a column, `3.0` among them.
    func integers(_ column: String) throws(InputError) -> [Int] {
        let values = try numbers(column)
        if let row = values.firstIndex(where: { Int(exactly: $0) == nil || abs($0) > 0x1p31 }) {
            throw InputError(
                .malformed, file: path, item: "row \(row + 1), column '\(column)'", seen: "\(values[row])",
                expected: "a whole number of 32 bits")
        }
        return values.map { Int($0) }
    }
}

/// Rows are taken as they are parsed: the views of SwiftCSV fill up rows that are too short, and keep a copy.
private struct NoView: CSVView {
    let rows: [[String]] = []
    let columns: [[String]]? = nil

    init(header: [String], text: String, delimiter: CSVDelimiter, loadColumns: Bool, rowLimit: Int?) {}

    func serialize(header: [String], delimiter: CSVDelimiter) -> String { "" }
}
