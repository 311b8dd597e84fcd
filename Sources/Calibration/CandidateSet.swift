import Evaluation
import ExitRules
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
    /// One shared threshold yields every distinct policy there is. Thresholds of their own for each exit yield those
    /// that the search found, and every policy that raising or lowering all of them by the same amount leads to: a path
    /// from safe to fast through the point that was found.
    ///
    /// - Throws: ``InputError`` when the recipe's grid has too many policies.
    static func search(_ table: ScoreTable, recipe: Recipe) throws(InputError) -> CandidateSet {
        switch recipe.search {
        case .single:
            let frontier = SingleThresholdFrontier(table)
            return CandidateSet(
                path: PolicyPath(
                    sharedThresholds: frontier.points.compactMap(\.threshold), exitCount: table.exitCount),
                tuned: frontier.thresholds(of: frontier.best(allowedGap: recipe.guarantee.allowedGap)))
        case .perExitCoordinate(let starts):
            return shifted(perExitCoordinate(table, recipe: recipe, starts: starts), on: table)
        case .perExitGrid(let values):
            do {
                let grid = try GridSearch(
                    table: table, allowedGap: recipe.guarantee.allowedGap, valuesPerExit: values)
                return shifted(grid.run().thresholds, on: table)
            } catch {
                throw InputError(
                    .outOfRange, file: recipe.file, item: "search.values",
                    seen: "\(values) values for each of \(table.exitCount - 1) exits (\(error))",
                    expected: "fewer combinations", advice: "Use fewer values, or `method: coordinate`.")
            }
        }
    }

    /// The thresholds that coordinate search ends with.
    static func perExitCoordinate(_ table: ScoreTable, recipe: Recipe, starts: Int) -> Thresholds {
        var generator = SplitMix64(seed: recipe.seed)
        return CoordinateSearch(table: table, allowedGap: recipe.guarantee.allowedGap)
            // Pair moves get more out of tune, and overfit it more; whether more is certified is not measured yet.
            .run(randomStarts: starts, moves: .single, using: &generator).best.thresholds
    }

    /// All policies with the thresholds that were found plus a common shift.
    private static func shifted(_ found: Thresholds, on table: ScoreTable) -> CandidateSet {
        var relative = table
        for (exit, threshold) in found.values.enumerated() {
            // Scores relative to the threshold make the shift a shared threshold, and its sweep exact. A threshold
            // that is never met stays so: NaN is a score that meets none.
            relative.scores[exit] = table.scores[exit].map { score in threshold.map { score - $0 } ?? .nan }
        }
        let shifts = SingleThresholdFrontier(relative).points.compactMap(\.threshold)
        return CandidateSet(path: PolicyPath(base: found.values, shifts: shifts), tuned: found)
    }
}
