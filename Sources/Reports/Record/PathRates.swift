import ExitRules
import ThresholdOptimizer

/// What every policy of a path does on a table, as the two rates that are drawn.
struct PathRates {
    /// [policies]: the final layer's cost over the mean cost; NaN without samples.
    let speedUps: [Double]
    /// [policies]: the fraction of wrong labels; 0 without samples.
    let errors: [Double]

    /// Counts a path.
    ///
    /// - Complexity: that of ``PolicyPath/points(on:)``.
    init(_ path: PolicyPath, on table: ScoreTable) {
        let points = path.points(on: table)
        let referenceErrors = table.referenceIsCorrect.count { !$0 }
        let samples = Double(max(table.sampleCount, 1))
        speedUps = points.map { table.fullCost / $0.meanCost }
        errors = points.map { Double(referenceErrors + $0.counts.harmfulFlips - $0.counts.helpfulFlips) / samples }
    }
}
