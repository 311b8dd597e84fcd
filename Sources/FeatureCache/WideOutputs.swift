import ExitRules
import Foundation
import Safetensors

/// A table of exit outputs, sample by sample, before classes have numbers.
struct WideOutputs {
    /// [exits]: their numbers in the file.
    var exits: [Int]
    /// [samples]
    var target: [String]
    /// [exits][samples]
    var labels: [[String]]
    /// [exits][samples] of each measure, as the file has them.
    var confidences: [ConfidenceMeasure: [[Float]]]
    /// [samples]: the codes of the splits; nil where the table has no such column.
    var split: [UInt8]?
    /// [samples]; nil where the table has no such column.
    var group: [String]?
    var subgroup: [String]?

    init(
        exits: [Int], target: [String], labels: [[String]], confidences: [ConfidenceMeasure: [[Float]]],
        split: [UInt8]?, group: [String]?, subgroup: [String]?
    ) {
        self.exits = exits
        self.target = target
        self.labels = labels
        self.confidences = confidences
        self.split = split
        self.group = group
        self.subgroup = subgroup
    }

    /// Reads a table with a row for each sample.
    ///
    /// - Throws: `InputError` for columns that are not there, or numbers of exits with a hole.
    init(_ table: DelimitedTable, columns: OutputColumns) throws(InputError) {
        exits = try Self.exits(table, pattern: columns.label)
        target = try table.labels(columns.target)
        labels = []
        for exit in exits { labels.append(try table.labels(columns.label.ofExit(exit))) }
        confidences = [:]
        for measure in ConfidenceMeasure.allCases {
            guard let pattern = columns.confidences(in: table)[measure] else { continue }
            guard pattern.contains(OutputColumns.placeholder) else {
                throw InputError(
                    .mismatch, file: table.path, item: "column '\(pattern)'", seen: "one column for all exits",
                    expected: "a pattern with \(OutputColumns.placeholder), as the labels have")
            }
            if let other = table.numbers(matching: pattern).first(where: { !exits.contains($0) }) {
                throw InputError(
                    .mismatch, file: table.path, item: "column '\(pattern.ofExit(other))'",
                    seen: "no column '\(columns.label.ofExit(other))' of labels beside it",
                    expected: "labels and confidences of the same exits",
                    advice: "Are both counted from the same number?")
            }
            var rows: [[Float]] = []
            for exit in exits { rows.append(try table.floats(pattern.ofExit(exit))) }
            confidences[measure] = rows
        }
        split = try columns.split.map { name throws(InputError) in try table.splitCodes(name) }
        group = try columns.group.map { name throws(InputError) in try table.texts(name) }
        subgroup = try columns.subgroup.map { name throws(InputError) in try table.texts(name) }
    }

    /// The numbers of the exits: all for which there is a column, one after the other.
    static func exits(_ table: DelimitedTable, pattern: String) throws(InputError) -> [Int] {
        let exits = table.numbers(matching: pattern)
        guard let first = exits.first, let last = exits.last else {
            throw InputError(
                .missing, file: table.path, item: "column '\(pattern)'", seen: "no column of that pattern",
                expected: "\(pattern.ofExit(0)), \(pattern.ofExit(1)), ..., or counted from 1",
                advice: "The columns are \(table.header.prefix(20).joined(separator: ", ")).")
        }
        guard last - first + 1 == exits.count else {
            let missing = (first...last).first { !exits.contains($0) }!
            throw InputError(
                .missing, file: table.path, item: "column '\(pattern.ofExit(missing))'", seen: "no such column",
                expected: "a column for each exit from \(first) to \(last)")
        }
        return exits
    }
}

extension DelimitedTable {
    /// [rows]: the texts of a column of labels; none is empty.
    func labels(_ column: String) throws(InputError) -> [String] {
        let texts = try texts(column)
        if let row = texts.firstIndex(of: "") {
            throw InputError(
                .missing, file: path, item: "row \(row + 1), column '\(column)'", seen: "nothing", expected: "a label",
                advice: "Leave samples without a label out.")
        }
        return texts
    }

    /// [rows]: the codes of the splits that a column names.
    func splitCodes(_ column: String) throws(InputError) -> [UInt8] {
        var known = ["": Split.unassignedCode, "\(Split.unassignedCode)": Split.unassignedCode]
        for split in Split.allCases {
            known["\(split)"] = split.rawValue
            known["\(split.rawValue)"] = split.rawValue
        }
        let texts = try texts(column)
        if let row = texts.firstIndex(where: { known[$0] == nil }) {
            throw InputError(
                .outOfRange, file: path, item: "row \(row + 1), column '\(column)'", seen: "'\(texts[row].prefix(40))'",
                expected: "train, tune, certify or test, 0 to 3 for these, or nothing")
        }
        return texts.map { known[$0]! }
    }
}

extension String {
    /// A pattern's column for an exit.
    func ofExit(_ exit: Int) -> String {
        replacingOccurrences(of: OutputColumns.placeholder, with: String(exit))
    }
}
