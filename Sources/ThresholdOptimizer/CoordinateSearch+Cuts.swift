import ExitRules

extension ScoreRanking {
    /// The samples that a cut releases and the one before does not.
    func released(at cut: Int) -> ArraySlice<Int32> { order[ends[cut - 1]..<ends[cut]] }

    /// The samples that a cut releases.
    func released(through cut: Int) -> ArraySlice<Int32> { order[..<ends[cut]] }
}

/// A policy is a cut for each early exit; see ``ScoreRanking``.
extension CoordinateSearch {
    /// Sorts the samples of a table by their place on a grid, and tries only its thresholds.
    ///
    /// - Parameters:
    ///   - table: the table to search.
    ///   - allowedGap: the largest risk gap accepted, in 0...1.
    ///   - grid: [exits - 1][values]: falling thresholds; "never" is added to each.
    /// - Complexity: O(N L log N).
    public init(table: ScoreTable, allowedGap: Double, grid: [[Double]]) {
        precondition(grid.count == table.exitCount - 1, "values for each exit but the last")
        precondition(grid.allSatisfy { zip($0, $0.dropFirst()).allSatisfy(>) }, "the thresholds of a grid fall")
        let rankings = zip(table.scores, grid).map { scores, values in
            ScoreRanking(scores: scores.map { Self.place(of: $0, in: values) })
        }
        // A value that releases no more than the one above it makes no cut.
        let thresholds = zip(rankings, grid).map { ranking, values in ranking.values.map { values[Int(-$0)] } }
        self.init(table: table, allowedGap: allowedGap, rankings: rankings, gridThresholds: thresholds)
    }

    /// Minus the index of the first of falling thresholds that a score meets; not a number when there is none.
    private static func place(of score: Double, in values: [Double]) -> Double {
        let first = firstMet(by: score, in: values[...])
        return first == values.count ? .nan : -Double(first)
    }

    /// The cuts that release what thresholds do; on a grid, those of the next higher values.
    func cuts(of thresholds: Thresholds) -> [Int] {
        thresholds.values.enumerated().map { exit, value in
            guard let gridThresholds else { return rankings[exit].cut(threshold: value) }
            guard let value else { return 0 }
            return gridThresholds[exit].count { $0 >= value }
        }
    }

    /// The thresholds of some cuts. Those that are not moved stay as they were given, except on a grid.
    func thresholds(of cuts: [Int], keeping start: Thresholds, at startCuts: [Int]) -> Thresholds {
        Thresholds(
            cuts.indices.map { exit in
                let isKept = gridThresholds == nil && cuts[exit] == startCuts[exit]
                return isKept ? start.values[exit] : threshold(exit: exit, cut: cuts[exit])
            })
    }

    /// The thresholds of some cuts.
    func thresholds(of cuts: [Int]) -> Thresholds {
        Thresholds(cuts.enumerated().map { threshold(exit: $0, cut: $1) })
    }

    /// Some cuts and what they do. Thresholds that are not moved stay as they were given, except on a grid.
    func point(_ cuts: [Int], keeping start: Thresholds, at startCuts: [Int]) -> PolicyPoint {
        PolicyPoint(thresholds(of: cuts, keeping: start, at: startCuts), on: table)
    }

    private func threshold(exit: Int, cut: Int) -> Double? {
        guard let gridThresholds else { return rankings[exit].threshold(cut: cut) }
        return cut == 0 ? nil : gridThresholds[exit][cut - 1]
    }

    /// How good some cuts are.
    ///
    /// - Complexity: O(N L).
    func rank(cuts: [Int]) -> PolicyRank { rank(laterExits(cuts: cuts)) }

    /// How good it is to leave where samples leave.
    func rank(_ later: LaterExits) -> PolicyRank {
        var released = Array(repeating: 0, count: table.exitCount)
        for exit in later.taken { released[Int(exit)] += 1 }
        let harmful = later.takenFlips.count { $0 > 0 }
        let helpful = later.takenFlips.count { $0 < 0 }
        return PolicyRank(
            costSum: totalCost(released: released, costs: table.costs), harmfulFlips: harmful, helpfulFlips: helpful,
            largestExcess: largestExcess)
    }
}
