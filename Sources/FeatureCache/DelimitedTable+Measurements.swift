import Safetensors

extension DelimitedTable {
    /// [exits][measurements]: the numbers of each exit, one or more.
    ///
    /// - Parameters:
    ///   - column: a pattern with `{exit}`, for columns of their own; or the name of the one column, in long form.
    ///   - columns: what the long form's columns for samples and exits are called.
    ///   - samples: which count; in wide form these are rows, in long form samples in the order of their first appearance;
    ///     nil for all, and then there need be no samples in the table.
    /// - Throws: `InputError` for a column that is not there, or a text that is no number.
    public func measurements(
        _ column: String, columns: OutputColumns, samples: [Int]? = nil
    ) throws(InputError) -> [[Double]] {
        if column.contains(OutputColumns.placeholder) {
            var measurements: [[Double]] = []
            for exit in try WideOutputs.exits(self, pattern: column) {
                let values = try numbers(column.ofExit(exit))
                measurements.append(samples.map { rows in rows.map { values[$0] } } ?? values)
            }
            return measurements
        }
        let values = try numbers(column)
        let exits = try integers(columns.exit)
        let first = exits.min() ?? 0
        guard Set(exits).count == (exits.max() ?? 0) - first + 1 else {
            throw InputError(
                .malformed, file: path, item: "column '\(columns.exit)'", seen: "exits with a hole between them",
                expected: "whole numbers one after the other, none left out")
        }
        var counts: Set<Int>?
        var places: [Int] = []
        if let samples {
            counts = Set(samples)
            var known: [String: Int] = [:]
            for name in try texts(columns.sample) {
                let place = known[name] ?? known.count
                known[name] = place
                places.append(place)
            }
        }
        var measurements = Array(repeating: [Double](), count: Set(exits).count)
        for row in values.indices where counts?.contains(places[row]) ?? true {
            measurements[exits[row] - first].append(values[row])
        }
        return measurements
    }
}
