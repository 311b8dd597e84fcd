import FeatureCache
import Foundation
import Safetensors
import ThresholdOptimizer

extension Recipe.BatchesChoice {
    /// The column of what checks take of the times.
    static let checkColumn = "check_milliseconds"

    /// Reads the table.
    ///
    /// - Returns: the server; and [exits], what the check of each exit takes of its stage, where the table tells.
    /// - Throws: `InputError` for columns that are not there, for exits, sizes or times that are none, and when the size
    ///   was not measured, nor a larger one.
    func serving(exitCount: Int) throws(InputError) -> (BatchedServing, checks: [BatchCostCurve]?) {
        let table = try DelimitedTable(reading: file)
        let stages = try curves(table, "milliseconds", exitCount: exitCount)
        guard table.header.contains(Self.checkColumn) else {
            return (BatchedServing(stages: stages, batchSize: size), nil)
        }
        let checks = try curves(table, Self.checkColumn, exitCount: exitCount)
        for exit in stages.indices where stages[exit].adding(checks[exit], sign: -1) == nil {
            throw InputError(
                .outOfRange, file: file, item: "column '\(Self.checkColumn)'",
                seen: "a check at exit \(exit) that takes all of its stage's time, or more",
                expected: "the part of `milliseconds` that pooling, head and decision take",
                advice: "Measure again: `beem-policy time` writes both.")
        }
        let serving = BatchedServing(stages: stages, batchSize: size)
        return (serving.selecting(exits: Array(stages.indices), checks: checks), checks)
    }

    /// [exits]: a column of times by batch size.
    private func curves(
        _ table: DelimitedTable, _ column: String, exitCount: Int
    ) throws(InputError) -> [BatchCostCurve] {
        let sizes = try table.numbers("batch")
        let times = try table.numbers(column)
        let exits = table.header.contains("exit") ? try table.numbers("exit") : nil
        func require(_ isRight: Bool, _ item: String, seen: String, expected: String) throws(InputError) {
            guard isRight else { throw InputError(.outOfRange, file: file, item: item, seen: seen, expected: expected) }
        }
        // [exits]: times by batch size; the first exit of the table has any number, 0 or 1 usually.
        let smallest = exits?.min() ?? 0
        let first = smallest >= 0 ? Int(exactly: smallest) : nil
        var stages = Array(repeating: [Int: Double](), count: exits == nil ? 1 : exitCount)
        for row in sizes.indices {
            try require(
                sizes[row] >= 1 && Int(exactly: sizes[row]) != nil && sizes[row] < 0x1p31,
                "row \(row + 1), column 'batch'",
                seen: "\(sizes[row])", expected: "a whole number from 1")
            try require(
                times[row] > 0, "row \(row + 1), column '\(column)'", seen: "\(times[row])",
                expected: "a positive number")
            let exit = exits?[row] ?? 0
            guard first != nil, let place = Int(exactly: exit - smallest), stages.indices.contains(place) else {
                throw InputError(
                    .mismatch, file: file, item: "row \(row + 1), column 'exit'", seen: String(format: "%g", exit),
                    expected: "one of \(exitCount) exits, counted from \(first ?? 0)")
            }
            try require(
                stages[place].updateValue(times[row], forKey: Int(sizes[row])) == nil, "row \(row + 1)",
                seen: "a batch of \(Int(sizes[row])) for the second time", expected: "one row for each stage and size")
        }
        var curves: [BatchCostCurve] = []
        for (stage, times) in stages.enumerated() {
            let largest = times.keys.max()
            try require(
                largest ?? 0 >= size, exits == nil ? "column 'batch'" : "exit \(stage + (first ?? 0))",
                seen: largest.map { "batches of at most \($0)" } ?? "no measurement",
                expected: "a measurement of \(size) samples or more, as cost.batches.size says")
            curves.append(
                BatchCostCurve(
                    times.sorted { $0.key < $1.key }.map { .init(batchSize: $0.key, milliseconds: $0.value) }))
        }
        return exits == nil ? Array(repeating: curves[0], count: exitCount) : curves
    }
}
