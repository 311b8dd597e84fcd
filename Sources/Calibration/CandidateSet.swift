import Evaluation
import ExitRules
import LinearAlgebra
import RiskControl
import Safetensors
import Statistics
import ThresholdOptimizer

/// The policies that a search on the tune split offers for certification.
struct CandidateSet: Sendable {
    /// The candidates, from safe to fast; "never leave early" is none of them.
    let path: PolicyPath
    /// The fastest policy whose gap on the tune split is within the allowed one: tuned, not certified.
    let tuned: Thresholds

    /// Searches the tune split as the recipe says.
    ///
    /// One shared threshold yields every distinct policy there is, and so do the curves of a given shape. Thresholds of
    /// their own for each exit yield those that the search found, and every policy that raising or lowering all of them by
    /// the same amount leads to: a path from safe to fast through the point that was found.
    ///
    /// - Throws: `InputError` when the recipe's grid has too many policies.
    static func search(_ table: ScoreTable, recipe: Recipe) throws(InputError) -> CandidateSet {
        switch recipe.search {
        case .single:
            let found = sharedThresholds(of: table, allowedGap: recipe.guarantee.allowedGap)
            return CandidateSet(
                path: PolicyPath(sharedThresholds: found.candidates, exitCount: table.exitCount),
                tuned: .shared(found.best, exitCount: table.exitCount))
        case .curve(let curve?):
            return curved(curve, on: table, allowedGap: recipe.guarantee.allowedGap)
        case .curve(nil):
            let curve = DepthCurve.pick(on: table, guarantee: recipe.guarantee)
            return curved(curve, on: table, allowedGap: recipe.guarantee.allowedGap)
        case .shrunk(let share, let starts, let moves):
            let found = perExitCoordinate(table, recipe: recipe, starts: starts, moves: moves)
            return shifted(
                by: shrunk(found, to: share, on: table), on: table, allowedGap: recipe.guarantee.allowedGap)
        case .perExitCoordinate(let starts, let moves):
            let found = perExitCoordinate(table, recipe: recipe, starts: starts, moves: moves)
            return CandidateSet(path: shifted(by: found.values, on: table), tuned: found)
        case .perExitGrid(let values):
            do {
                let grid = try GridSearch(
                    table: table, allowedGap: recipe.guarantee.allowedGap, valuesPerExit: values)
                let found = grid.run().thresholds
                return CandidateSet(path: shifted(by: found.values, on: table), tuned: found)
            } catch {
                throw InputError(
                    .outOfRange, file: recipe.file, item: "search.values",
                    seen: "\(values) values for each of \(table.exitCount - 1) exits (\(error))",
                    expected: "fewer combinations", advice: "Use fewer values, or `method: coordinate`.")
            }
        }
    }

    /// The policies of one shared threshold on a table that ranks may share: all of them where they are few, otherwise an even
    /// choice.
    ///
    /// - Returns: the candidates, and what each does on the table.
    static func search(
        _ shared: SharedTable, allowedGap: Double, threads: Int = Parallel.availableThreads
    ) -> (candidates: CandidateSet, points: [PolicyPath.Point]) {
        let frontier = SharedFrontier(shared, allowedGap: allowedGap, threads: threads)
        let exits = shared.table.exitCount
        let candidates = CandidateSet(
            path: PolicyPath(sharedThresholds: frontier.thresholds, exitCount: exits),
            tuned: .shared(frontier.best, exitCount: exits))
        return (candidates, frontier.points)
    }

    /// The same for thresholds per exit, found by single moves from three starts.
    static func searchPerExit(
        _ shared: SharedTable, allowedGap: Double, threads: Int = Parallel.availableThreads
    ) -> (candidates: CandidateSet, points: [PolicyPath.Point]) {
        let single = SharedFrontier(shared, allowedGap: allowedGap, threads: threads).best
        let found = SharedCoordinateSearch(shared, allowedGap: allowedGap, threads: threads).run(from: single)
        let relative = SharedTable(relative(shared.table, to: found.values), among: shared.ranks)
        let frontier = SharedFrontier(relative, allowedGap: allowedGap, threads: threads)
        return (
            CandidateSet(path: PolicyPath(base: found.values, shifts: frontier.thresholds), tuned: found),
            frontier.points
        )
    }

    /// The thresholds that coordinate search ends with.
    static func perExitCoordinate(
        _ table: ScoreTable, recipe: Recipe, starts: Int, moves: CoordinateSearch.Moves
    ) -> Thresholds {
        var generator = SplitMix64(seed: recipe.seed)
        return CoordinateSearch(table: table, allowedGap: recipe.guarantee.allowedGap)
            .run(randomStarts: starts, moves: moves, using: &generator).best.thresholds
    }

    /// All policies along a curve.
    static func curved(_ curve: DepthCurve, on table: ScoreTable, allowedGap: Double) -> CandidateSet {
        shifted(by: curve.offsets(on: table), on: table, allowedGap: allowedGap)
    }

    /// [exits - 1]: what is left of the differences between thresholds; one that is never met counts as the largest score.
    private static func shrunk(_ found: Thresholds, to share: Double, on table: ScoreTable) -> [Double] {
        let values = found.values.enumerated().map { exit, value in value ?? table.scores[exit].max() ?? 0 }
        let mean = values.reduce(0, +) / Double(max(values.count, 1))
        return values.map { share * ($0 - mean) }
    }

    /// All policies of one shared threshold that is moved at each exit by an offset, with the tuned one of them.
    private static func shifted(
        by offsets: [Double], on table: ScoreTable, allowedGap: Double
    ) -> CandidateSet {
        let path = shifted(by: offsets, on: table)
        // The path was swept on this table, so its points cost less and less; the last admissible one is the fastest.
        let constraint = RiskConstraint(allowedGap: allowedGap)
        let best = path.points(on: table).lastIndex { constraint.admits($0.counts) }
        return CandidateSet(
            path: path, tuned: best.map { path.thresholds(of: $0) } ?? .neverLeaveEarly(exitCount: table.exitCount))
    }

    /// All policies with some thresholds plus a common shift; nil is a threshold that is never met.
    private static func shifted(by thresholds: [Double?], on table: ScoreTable) -> PolicyPath {
        // Which of them is the best is the caller's to find.
        let shifts = sharedThresholds(of: relative(table, to: thresholds), allowedGap: 0).candidates
        return PolicyPath(base: thresholds, shifts: shifts)
    }

    /// The shared thresholds of a table, all or an even choice as ``SharedFrontier`` has them, and the best of all of them; nil is
    /// "never leave early".
    private static func sharedThresholds(
        of table: ScoreTable, allowedGap: Double
    ) -> (candidates: [Double], best: Double?) {
        let exact = SingleThresholdFrontier(table)
        // The same where the table has few events, from one sweep.
        guard exact.eventCount <= SharedFrontier.mostEvents else {
            let frontier = SharedFrontier(SharedTable(table), allowedGap: allowedGap)
            return (frontier.thresholds, frontier.best)
        }
        return (exact.points.compactMap(\.threshold), exact.best(allowedGap: allowedGap).threshold)
    }

    /// Scores relative to thresholds make a common shift a shared threshold, and its sweep exact. A threshold that is never
    /// met stays so: NaN is a score that meets none.
    private static func relative(_ table: ScoreTable, to thresholds: [Double?]) -> ScoreTable {
        var relative = table
        for (exit, threshold) in thresholds.enumerated() {
            relative.scores[exit] = table.scores[exit].map { score in threshold.map { score - $0 } ?? .nan }
        }
        return relative
    }
}
