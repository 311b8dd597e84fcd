import ExitRules
import Safetensors

/// A table of exit outputs with a row for each sample and exit, in any order.
struct LongOutputs {
    /// The same, sample by sample, in the order in which samples first appear.
    let wide: WideOutputs

    /// Reads and turns a table.
    ///
    /// - Throws: `InputError` for columns that are not there; for a sample that lacks an exit or has one twice; for rows
    ///   of a sample that do not agree on its truth, split or group.
    init(_ table: DelimitedTable, columns: OutputColumns) throws(InputError) {
        let numbers = try table.integers(columns.exit)
        let exits = Set(numbers).sorted()
        guard let first = exits.first, let last = exits.last, last - first + 1 == exits.count, first >= 0 else {
            throw InputError(
                .malformed, file: table.path, item: "column '\(columns.exit)'",
                seen: "the exits \(exits.prefix(20).map(String.init).joined(separator: ", "))",
                expected: "whole numbers one after the other, none left out")
        }
        // [exits][samples]: the row of each.
        let (names, places) = try Self.places(table, columns: columns, exits: numbers, from: first, count: exits.count)
        func agreed(_ column: String) throws(InputError) -> [String] {
            let texts = try column == columns.target ? table.labels(column) : table.texts(column)
            for sample in names.indices {
                let text = texts[places[0][sample]]
                if let other = places.first(where: { texts[$0[sample]] != text }) {
                    throw InputError(
                        .mismatch, file: table.path, item: "sample '\(names[sample])', column '\(column)'",
                        seen: "'\(text.prefix(40))' and '\(texts[other[sample]].prefix(40))'",
                        expected: "the same in all rows of a sample")
                }
            }
            return places[0].map { texts[$0] }
        }
        let labels = try table.labels(columns.label)
        var confidences: [ConfidenceMeasure: [[Float]]] = [:]
        for measure in ConfidenceMeasure.allCases {
            guard let column = columns.confidences(in: table)[measure] else { continue }
            let values = try table.floats(column)
            confidences[measure] = places.map { row in row.map { values[$0] } }
        }
        var split: [UInt8]?
        if let column = columns.split {
            let codes = try table.splitCodes(column)
            _ = try agreed(column)
            split = places[0].map { codes[$0] }
        }
        wide = WideOutputs(
            exits: exits, target: try agreed(columns.target), labels: places.map { row in row.map { labels[$0] } },
            confidences: confidences, split: split, group: try columns.group.map(agreed),
            subgroup: try columns.subgroup.map(agreed))
    }

    /// Which row holds what.
    private static func places(
        _ table: DelimitedTable, columns: OutputColumns, exits: [Int], from first: Int, count: Int
    ) throws(InputError) -> (names: [String], places: [[Int]]) {
        var names: [String] = []
        var numbers: [String: Int] = [:]
        // [rows]: the number of the sample.
        let samples = try table.texts(columns.sample).map { name in
            let number = numbers[name] ?? names.count
            if number == names.count {
                numbers[name] = number
                names.append(name)
            }
            return number
        }
        func missing(_ exit: Int, of sample: Int) -> InputError {
            InputError(
                .missing, file: table.path, item: "sample '\(names[sample])'", seen: "no row for exit \(exit + first)",
                expected: "a row for each exit from \(first) to \(first + count - 1)",
                advice: "Record all exits of all samples, also of those that left early.")
        }
        // Found before every sample gets a place at every exit, so that memory is O(rows) whatever the exits are.
        if names.count * count > samples.count {
            let rows = samples.reduce(into: Array(repeating: 0, count: names.count)) { $0[$1] += 1 }
            let sample = rows.firstIndex { $0 < count }!
            let seen = Set(samples.indices.filter { samples[$0] == sample }.map { exits[$0] - first })
            throw missing((0..<count).first { !seen.contains($0) }!, of: sample)
        }
        // [exits][samples]: -1 where no row has been seen.
        var places = Array(repeating: Array(repeating: -1, count: names.count), count: count)
        for (row, sample) in samples.enumerated() {
            let before = places[exits[row] - first][sample]
            guard before < 0 else {
                throw InputError(
                    .malformed, file: table.path, item: "sample '\(names[sample])'",
                    seen: "exit \(exits[row]) in row \(before + 1) and in row \(row + 1)",
                    expected: "one row for each exit",
                    advice: "Does the column '\(columns.sample)' tell all samples apart?")
            }
            places[exits[row] - first][sample] = row
        }
        for exit in places.indices {
            if let sample = places[exit].firstIndex(of: -1) { throw missing(exit, of: sample) }
        }
        return (names, places)
    }
}
