import ExitRules
import LinearAlgebra

/// Local search over one threshold for each exit: an exact line search over every breakpoint of one exit, the others
/// fixed, exit after exit, until none of them moves.
///
/// The line search is exact: along one exit's threshold, from "never" down, each breakpoint moves samples from a later
/// exit to this one, so cost falls strictly, and the best point is the last one with the least violation of the
/// constraint. Where no one threshold helps, two are moved at once, again to the best of all their breakpoints. What the
/// search ends in cannot be improved by any two thresholds; it need not be the best of all combinations. Several starts
/// make that less likely to hurt. On real tables of six exits with 32 values each it found the optimum that
/// ``BranchAndBound`` proves in four cases of five, and was within 5 % of it in all of a hundred.
///
/// - Note: What is best on the table that was searched flatters itself, free thresholds most of all. Certify on samples
///   that the search has not seen.
public struct CoordinateSearch: Sendable {
    /// The constraint.
    public let constraint: RiskConstraint

    let table: ScoreTable
    /// [exits - 1]: samples by falling score, sorted once; by place on the grid where there is one.
    let rankings: [ScoreRanking]
    /// [exits - 1][cuts]: the threshold of each cut but "never"; nil where every breakpoint is tried.
    let gridThresholds: [[Double]]?
    /// [exits - 1][samples]: the place of each sample's score among the distinct ones: a cut above it releases it.
    let ranks: [[Int32]]
    /// [exits][samples]: the excess `b - c` that leaving at the exit adds: 1, 0 or -1.
    let flips: [[Int8]]
    var largestExcess: Int

    /// What a descent changes at a time.
    public enum Moves: String, Sendable {
        /// One threshold.
        case single
        /// One threshold, and two at once where no single one helps.
        case pairs
    }

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
            /// A search that priced errors instead of limiting them; see ``CoordinateSearch/frontier(ratio:)``.
            case priced
        }
        /// How the start was made.
        public let kind: Start
        /// The start; it need not be admissible.
        public let start: PolicyPoint
        /// The end: no single threshold improves it; where pairs were tried, no two thresholds do.
        public let end: PolicyPoint
    }

    /// What a search found.
    public struct Result: Equatable, Sendable {
        /// The best end; admissible if any end is, and against the final layer one always is.
        public let best: PolicyPoint
        /// One descent a start, those from prices last.
        public let descents: [Descent]
    }

    /// Sorts the scores of a table.
    ///
    /// - Complexity: O(N L log N); memory up to 25 bytes a sample and exit beside the table.
    public init(table: ScoreTable, allowedGap: Double) {
        self.init(
            table: table, allowedGap: allowedGap, rankings: table.scores.map(ScoreRanking.init), gridThresholds: nil)
    }

    /// Takes rankings of the samples at each exit; they need not tell all scores apart.
    init(table: ScoreTable, allowedGap: Double, rankings: [ScoreRanking], gridThresholds: [[Double]]?) {
        self.table = table
        self.rankings = rankings
        self.gridThresholds = gridThresholds
        constraint = RiskConstraint(allowedGap: allowedGap)
        largestExcess = constraint.largestExcess(samples: table.sampleCount)
        ranks = rankings.map { ranking in
            var ranks = Array(repeating: Int32.max, count: table.sampleCount)
            for cut in 1..<(ranking.count + 1) {
                for sample in ranking.released(at: cut) { ranks[Int(sample)] = Int32(cut - 1) }
            }
            return ranks
        }
        flips = (0..<table.exitCount).map(table.flips)
    }

    /// Searches from the best single threshold, from "never", from the per-exit rule, and from random thresholds; with
    /// pairs also from the ends of searches that price errors, and moves two thresholds at once from the best few ends.
    ///
    /// Deterministic: equal tables and generators give equal results. With pairs the result is never worse than without.
    ///
    /// - Parameters:
    ///   - randomStarts: how many random starts to add to the three.
    ///   - moves: whether to try pairs.
    ///   - threads: how many descents may run at a time; the result does not depend on it.
    ///   - generator: what random starts are drawn from; pairs draw nothing.
    /// - Complexity: O(N L) a pass over the exits; a descent takes a handful of passes usually. A round of pairs is
    ///   O(N L^2 log N).
    public func run(
        randomStarts: Int, moves: Moves = .pairs, threads: Int = Parallel.availableThreads,
        using generator: inout some RandomNumberGenerator
    ) -> Result {
        let frontier = SingleThresholdFrontier(table, threads: threads)
        let single = frontier.thresholds(of: frontier.best(allowedGap: constraint.allowedGap))
        var starts: [(kind: Descent.Start, thresholds: Thresholds)] = [
            (.single, single),
            (.never, .neverLeaveEarly(exitCount: table.exitCount)),
            (.perExitRule, PerExitRule.thresholds(on: table)),
        ]
        for _ in 0..<randomStarts { starts.append((.random, thresholds(of: randomCuts(using: &generator)))) }
        if moves == .pairs { starts += pricedStarts().map { (.priced, thresholds(of: $0)) } }
        let startCuts = starts.map { cuts(of: $0.thresholds) }
        var ends = Parallel.map(startCuts.count, threads: threads) { improved(startCuts[$0]) }
        if moves == .pairs { improveByPairs(&ends) }
        let descents = starts.indices.map { index in
            let (kind, start) = starts[index]
            return Descent(
                kind: kind, start: point(startCuts[index], keeping: start, at: startCuts[index]),
                end: point(ends[index], keeping: start, at: startCuts[index]))
        }
        // The first of equals wins. Against the final layer the descent from "never" starts admissible, so its end is.
        var best = descents[0]
        for descent in descents where rank(descent.end) < rank(best.end) { best = descent }
        return Result(best: best.end, descents: descents)
    }

    /// Improves thresholds until no single one can be, or no two.
    ///
    /// From thresholds that break the constraint it first works its way towards it, by the fewest excess flips; it may
    /// end before it gets there. On a grid it starts from the next higher values of it.
    public func descend(from start: Thresholds, moves: Moves = .single) -> PolicyPoint {
        precondition(start.exitCount == table.exitCount, "a threshold for each exit but the last")
        let cuts = cuts(of: start)
        let end = moves == .single ? improved(cuts) : improvedByPairs(cuts)
        return point(end, keeping: start, at: cuts)
    }

    /// The best threshold at one exit, the others as they are: the cheapest admissible one, or, when none is, the
    /// cheapest of those with the least violation. Thresholds come back unchanged when that is no improvement.
    ///
    /// - Complexity: O(N L).
    public func lineSearch(exit: Int, from thresholds: Thresholds) -> Thresholds {
        precondition(thresholds.exitCount == table.exitCount, "a threshold for each exit but the last")
        precondition((0..<rankings.count).contains(exit), "the last exit has no threshold")
        let cuts = cuts(of: thresholds)
        return self.thresholds(of: improved(cuts, exit: exit), keeping: thresholds, at: cuts)
    }

    private func rank(_ point: PolicyPoint) -> PolicyRank { PolicyRank(point.outcome, constraint: constraint) }

    /// Random breakpoints. A share of the exits' breakpoints is drawn first, so that starts range from cautious to bold;
    /// drawn independently, nearly everyone would leave at the first exits.
    private func randomCuts(using generator: inout some RandomNumberGenerator) -> [Int] {
        let share = Double.random(in: 0...1, using: &generator)
        return rankings.map { ranking in
            Int(Double.random(in: 0...(share * Double(ranking.count)), using: &generator))
        }
    }
}
