import ExitRules

/// Local search over one threshold for each exit: an exact line search over every breakpoint of one exit, the others
/// fixed, exit after exit, until none of them moves.
///
/// The line search is exact: along one exit's threshold, from "never" down, each breakpoint moves samples from a later
/// exit to this one, so cost falls strictly, and the best point is the last one with the least violation of the
/// constraint. What the search ends in cannot be improved by any one threshold; it need not be the best of all
/// combinations. Several starts make that less likely to hurt.
///
/// - Note: What is best on the table that was searched flatters itself, free thresholds most of all. Certify on samples
///   that the search has not seen.
public struct CoordinateSearch: Sendable {
    /// The constraint.
    public let constraint: RiskConstraint

    private let table: ScoreTable
    /// [exits - 1]: samples by falling score, sorted once.
    private let rankings: [ScoreRanking]
    /// [exits - 1][samples]: the place of each sample's score among the distinct ones: a cut above it releases it.
    private let ranks: [[Int32]]
    /// [exits][samples]: the excess `b - c` that leaving at the exit adds: 1, 0 or -1.
    private let flips: [[Int8]]
    private let largestExcess: Int

    /// Where a descent began and where it ended.
    public struct Descent: Equatable, Sendable {
        /// How the start was made.
        public enum Start: String, Sendable {
            /// The best shared threshold.
            case single
            /// No sample leaves early.
            case never
            /// The paper's rule; see ``PerExitRule``.
            case perExitRule = "per-exit-rule"
            /// Drawn from the generator.
            case random
        }
        /// How the start was made.
        public let kind: Start
        /// The start; it need not be admissible.
        public let start: PolicyPoint
        /// The end: no single threshold improves it.
        public let end: PolicyPoint
    }

    /// What a search found.
    public struct Result: Equatable, Sendable {
        /// The best end; admissible if any end is, and against the final layer one always is.
        public let best: PolicyPoint
        /// One descent a start.
        public let descents: [Descent]
    }

    /// Sorts the scores of a table.
    ///
    /// - Complexity: O(N L log N); memory up to 25 bytes a sample and exit beside the table.
    public init(table: ScoreTable, allowedGap: Double) {
        self.table = table
        constraint = RiskConstraint(allowedGap: allowedGap)
        largestExcess = constraint.largestExcess(samples: table.sampleCount)
        rankings = table.scores.map(ScoreRanking.init)
        ranks = rankings.map { ranking in
            var ranks = Array(repeating: Int32.max, count: table.sampleCount)
            for cut in 0..<ranking.count {
                for sample in ranking.order[ranking.ends[cut]..<ranking.ends[cut + 1]] {
                    ranks[Int(sample)] = Int32(cut)
                }
            }
            return ranks
        }
        flips = table.isCorrect.map { row in
            zip(row, table.referenceIsCorrect).map { own, reference in own == reference ? 0 : own ? -1 : 1 }
        }
    }

    /// Searches from the best single threshold, from "never", from the per-exit rule, and from random thresholds.
    ///
    /// Deterministic: equal tables and generators give equal results.
    ///
    /// - Parameters:
    ///   - randomStarts: how many random starts to add to the three.
    ///   - generator: what they are drawn from.
    /// - Complexity: O(N L) a pass over the exits; a descent takes a handful of passes usually.
    public func run(randomStarts: Int, using generator: inout some RandomNumberGenerator) -> Result {
        let frontier = SingleThresholdFrontier(table)
        let single = frontier.thresholds(of: frontier.best(allowedGap: constraint.allowedGap))
        var descents = [
            descend(from: single, kind: .single),
            descend(from: .neverLeaveEarly(exitCount: table.exitCount), kind: .never),
            descend(from: PerExitRule.thresholds(on: table), kind: .perExitRule),
        ]
        for _ in 0..<randomStarts {
            descents.append(descend(from: randomThresholds(using: &generator), kind: .random))
        }
        // The first of equals wins. Against the final layer the descent from "never" starts admissible, so its end is.
        var best = descents[0]
        for descent in descents where rank(descent.end) < rank(best.end) { best = descent }
        return Result(best: best.end, descents: descents)
    }

    /// Improves thresholds until no single one can be.
    ///
    /// From thresholds that break the constraint it first works its way towards it, by the fewest excess flips; it may
    /// end before it gets there.
    public func descend(from start: Thresholds) -> PolicyPoint {
        PolicyPoint(improved(start), on: table)
    }

    /// The best threshold at one exit, the others as they are: the cheapest admissible one, or, when none is, the
    /// cheapest of those with the least violation. Thresholds come back unchanged when that is no improvement.
    ///
    /// - Complexity: O(N L).
    public func lineSearch(exit: Int, from thresholds: Thresholds) -> Thresholds {
        precondition(thresholds.exitCount == table.exitCount, "a threshold for each exit but the last")
        precondition((0..<rankings.count).contains(exit), "the last exit has no threshold")
        let cuts = cuts(of: thresholds)
        var state = Pass(sampleCount: table.sampleCount)
        for earlier in 0..<exit { release(cut: cuts[earlier], at: earlier, state: &state) }
        let later = flipsOfLaterExits(cuts: cuts)
        let found = bestCut(exit: exit, current: cuts[exit], later: later[exit], state: state)
        guard found != cuts[exit] else { return thresholds }
        var values = thresholds.values
        values[exit] = rankings[exit].threshold(cut: found)
        return Thresholds(values)
    }

    // MARK: - Passes over the exits

    /// What a pass over the exits knows when it comes to one of them.
    private struct Pass {
        /// [samples]: whether a sample has not left before this exit.
        var isWaiting: [Bool]
        /// The excess `b - c` of those that have left.
        var excess = 0

        init(sampleCount: Int) {
            isWaiting = Array(repeating: true, count: sampleCount)
        }
    }

    private func descend(from thresholds: Thresholds, kind: Descent.Start) -> Descent {
        Descent(kind: kind, start: PolicyPoint(thresholds, on: table), end: descend(from: thresholds))
    }

    private func rank(_ point: PolicyPoint) -> PolicyRank { PolicyRank(point.outcome, constraint: constraint) }

    private func cuts(of thresholds: Thresholds) -> [Int] {
        zip(rankings, thresholds.values).map { ranking, value in ranking.cut(threshold: value) }
    }

    /// Passes until one moves nothing. Every move lowers (violation, cost), so there are finitely many.
    private func improved(_ start: Thresholds) -> Thresholds {
        precondition(start.exitCount == table.exitCount, "a threshold for each exit but the last")
        var cuts = cuts(of: start)
        var values = start.values
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            // A pass goes forward, so what lies after an exit is, when the pass gets there, as it was at its start.
            let later = flipsOfLaterExits(cuts: cuts)
            var state = Pass(sampleCount: table.sampleCount)
            for exit in rankings.indices {
                let found = bestCut(exit: exit, current: cuts[exit], later: later[exit], state: state)
                if found != cuts[exit] {
                    cuts[exit] = found
                    values[exit] = rankings[exit].threshold(cut: found)
                    hasMoved = true
                }
                release(cut: cuts[exit], at: exit, state: &state)
            }
        }
        return Thresholds(values)
    }

    /// [exits - 1][samples]: the flip a sample adds when it does not leave at the exit or before.
    private func flipsOfLaterExits(cuts: [Int]) -> [[Int8]] {
        var later = Array(repeating: [Int8](), count: rankings.count)
        var row = flips[table.exitCount - 1]
        for exit in rankings.indices.reversed() {
            later[exit] = row
            let cut = Int32(cuts[exit])
            guard cut > 0 else { continue }
            let ranks = ranks[exit]
            let flips = flips[exit]
            for sample in row.indices where ranks[sample] < cut { row[sample] = flips[sample] }
        }
        return later
    }

    /// Lets the samples of a cut leave.
    private func release(cut: Int, at exit: Int, state: inout Pass) {
        for sample in rankings[exit].order[..<rankings[exit].ends[cut]] where state.isWaiting[Int(sample)] {
            state.isWaiting[Int(sample)] = false
            state.excess += Int(flips[exit][Int(sample)])
        }
    }

    /// The best cut of an exit; the current one unless another is strictly better.
    ///
    /// - Complexity: O(N), sequential in the order of scores.
    private func bestCut(exit: Int, current: Int, later: [Int8], state: Pass) -> Int {
        let ranking = rankings[exit]
        let flips = flips[exit]
        let isWaiting = state.isWaiting
        var excess = state.excess
        for sample in isWaiting.indices where isWaiting[sample] { excess += Int(later[sample]) }
        var best = 0
        var leastViolation = max(0, excess - largestExcess)
        // The last cut up to the current one that moved anyone: the same policy as the current cut.
        var sameAsCurrent = 0
        for cut in 1..<(ranking.count + 1) {
            var hasMoved = false
            for sample in ranking.order[ranking.ends[cut - 1]..<ranking.ends[cut]] where isWaiting[Int(sample)] {
                excess += Int(flips[Int(sample)]) - Int(later[Int(sample)])
                hasMoved = true
            }
            guard hasMoved else { continue }
            if cut <= current { sameAsCurrent = cut }
            let violation = max(0, excess - largestExcess)
            // Each cut that moves anyone is cheaper than all before, so equal violation is enough.
            if violation <= leastViolation {
                leastViolation = violation
                best = cut
            }
        }
        return best == sameAsCurrent ? current : best
    }

    /// Thresholds at random breakpoints. A share of the exits' breakpoints is drawn first, so that starts range from
    /// cautious to bold; drawn independently, nearly everyone would leave at the first exits.
    private func randomThresholds(using generator: inout some RandomNumberGenerator) -> Thresholds {
        let share = Double.random(in: 0...1, using: &generator)
        return Thresholds(
            rankings.map { ranking in
                let cut = Double.random(in: 0...(share * Double(ranking.count)), using: &generator)
                return ranking.threshold(cut: Int(cut))
            })
    }
}
