import Safetensors

/// Paired losses of candidate policies on whole outputs, from a table with the columns `candidate`, `sample`, `split`,
/// `loss`, `reference_loss` and `cost`; optionally `group` and `reference_cost`.
///
/// A row is what one candidate does on one sample: of a split all candidates have the same samples, and a sample has the
/// same reference loss in all of them. A value of this type has been checked for that.
public struct LossTable: Equatable, Sendable {
    /// The losses of one split, candidates and samples in the order of the file.
    public struct Part: Equatable, Sendable {
        /// [samples]: their names.
        public var samples: [String]
        /// [candidates][samples]
        public var losses: [[Double]]
        /// [samples]
        public var referenceLosses: [Double]
        /// [candidates][samples]
        public var costs: [[Double]]
        /// [samples]: the group of each; nil where the table has none.
        public var groups: [Int]?
        /// [samples]: what a sample costs without early exit; nil where the table does not tell.
        public var referenceCosts: [Double]?

        /// [candidates][samples]: loss minus the reference's.
        public var differences: [[Double]] {
            losses.map { row in zip(row, referenceLosses).map { $0 - $1 } }
        }

        /// The largest group; 1 where there are none.
        public var largestGroup: Int {
            groups.map { Dictionary(grouping: $0) { $0 }.values.map(\.count).max() ?? 1 } ?? 1
        }
    }

    /// The file.
    public let path: String
    /// The SHA-256 of its bytes.
    public let sha256: String
    /// The candidates, in the order in which the file first names them.
    public let candidates: [String]
    /// The splits that have samples.
    public let parts: [Split: Part]

    /// Reads a table, CSV or TSV.
    ///
    /// - Parameters:
    ///   - path: the table.
    ///   - range: in which every loss lies.
    /// - Throws: `InputError` that names the row: a column that is missing, a number that is none, a loss outside the range,
    ///   a cost that is not positive; a sample twice, or missing, or with two references, for a candidate.
    /// - Complexity: O(bytes of the table).
    public init(reading path: String, range: ClosedRange<Double> = 0...1) throws(InputError) {
        let table = try DelimitedTable(reading: path)
        let rows = try Rows(table, range: range)
        self.path = path
        sha256 = try Safetensors.sha256(ofFile: path)
        candidates = rows.names
        var parts: [Split: Part] = [:]
        for split in Split.allCases {
            if let part = try rows.part(split, file: path) { parts[split] = part }
        }
        self.parts = parts
    }
}

/// The columns of a table of losses, row by row.
private struct Rows {
    var names: [String] = []
    let candidates: [Int]
    let samples: [String]
    let splits: [UInt8]
    let losses: [Double]
    let referenceLosses: [Double]
    let costs: [Double]
    let groups: [String]?
    let referenceCosts: [Double]?

    init(_ table: DelimitedTable, range: ClosedRange<Double>) throws(InputError) {
        var places: [String: Int] = [:]
        var candidates: [Int] = []
        for name in try table.labels("candidate") {
            if places[name] == nil {
                places[name] = names.count
                names.append(name)
            }
            candidates.append(places[name]!)
        }
        self.candidates = candidates
        samples = try table.labels("sample")
        splits = try table.splitCodes("split")
        losses = try Self.numbers(table, "loss", expected: "\(range.lowerBound) to \(range.upperBound)") {
            range.contains($0)
        }
        referenceLosses = try Self.numbers(
            table, "reference_loss", expected: "\(range.lowerBound) to \(range.upperBound)"
        ) { range.contains($0) }
        costs = try Self.numbers(table, "cost", expected: "a positive number") { $0 > 0 }
        groups = table.header.contains("group") ? try table.labels("group") : nil
        referenceCosts =
            table.header.contains("reference_cost")
            ? try Self.numbers(table, "reference_cost", expected: "a positive number") { $0 > 0 } : nil
    }

    private static func numbers(
        _ table: DelimitedTable, _ column: String, expected: String, where isRight: (Double) -> Bool
    ) throws(InputError) -> [Double] {
        let values = try table.numbers(column)
        if let row = values.firstIndex(where: { !isRight($0) }) {
            throw InputError(
                .outOfRange, file: table.path, item: "row \(row + 1), column '\(column)'", seen: "\(values[row])",
                expected: expected,
                advice: column == "cost" || column == "reference_cost"
                    ? nil
                    : "Declare the range of the losses before looking at them; clipping would void the guarantee.")
        }
        return values
    }

    /// One split; nil where it has no row.
    func part(_ split: Split, file: String) throws(InputError) -> LossTable.Part? {
        let rows = splits.indices.filter { splits[$0] == split.rawValue }
        guard !rows.isEmpty else { return nil }
        var places: [String: Int] = [:]
        // The row in which each sample was first met: what belongs to the sample is compared with it.
        var first: [Int] = []
        // [candidates][samples]: rows.
        var found: [[Int?]] = Array(repeating: [], count: names.count)
        func wrong(_ row: Int, _ column: String, seen: String, expected: String) -> InputError {
            InputError(
                .mismatch, file: file, item: "row \(row + 1), column '\(column)'", seen: seen, expected: expected)
        }
        for row in rows {
            let sample = samples[row]
            if places[sample] == nil {
                places[sample] = first.count
                first.append(row)
                for candidate in names.indices { found[candidate].append(nil) }
            }
            let place = places[sample]!
            if let before = found[candidates[row]][place] {
                throw wrong(
                    row, "sample", seen: "'\(sample)' of candidate '\(names[candidates[row]])' as in row \(before + 1)",
                    expected: "each sample once for each candidate")
            }
            found[candidates[row]][place] = row
            let own = first[place]
            if referenceLosses[row] != referenceLosses[own] {
                throw wrong(
                    row, "reference_loss", seen: "\(referenceLosses[row])",
                    expected: "\(referenceLosses[own]), as in row \(own + 1): a sample has one reference")
            }
            if let groups, groups[row] != groups[own] {
                throw wrong(
                    row, "group", seen: "'\(groups[row])'", expected: "'\(groups[own])', as in row \(own + 1)")
            }
            if let referenceCosts, referenceCosts[row] != referenceCosts[own] {
                throw wrong(
                    row, "reference_cost", seen: "\(referenceCosts[row])",
                    expected: "\(referenceCosts[own]), as in row \(own + 1)")
            }
        }
        for candidate in names.indices {
            if let place = found[candidate].firstIndex(of: nil) {
                throw InputError(
                    .missing, file: file, item: "candidate '\(names[candidate])'",
                    seen: "no row for sample '\(samples[first[place]])' of the \(split) split",
                    expected: "all candidates on the same samples",
                    advice: "Losses are compared sample by sample; leave a sample out for all candidates, or for none.")
            }
        }
        var numbers: [String: Int] = [:]
        let groups = groups.map { groups in
            first.map { row in
                let number = numbers[groups[row]] ?? numbers.count
                numbers[groups[row]] = number
                return number
            }
        }
        return LossTable.Part(
            samples: first.map { samples[$0] }, losses: found.map { row in row.map { losses[$0!] } },
            referenceLosses: first.map { referenceLosses[$0] }, costs: found.map { row in row.map { costs[$0!] } },
            groups: groups, referenceCosts: referenceCosts.map { costs in first.map { costs[$0] } })
    }
}
