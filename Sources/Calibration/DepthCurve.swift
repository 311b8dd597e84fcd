import ExitRules
import RiskControl
import Statistics
import ThresholdOptimizer

/// How thresholds change over depth: a parabola with two parameters, in standard deviations of the scores.
///
/// At depth t, from -1/2 at the first exit to 1/2 at the last that can be left early, the threshold is the shared one plus
/// `(slope t + bend (t^2 - 1/12)) s`, with s the standard deviation of all scores. Slope and bend 0 is one shared threshold.
/// Two parameters overfit less than one threshold for each exit, and for given ones the sweep over the shared threshold is
/// exact.
public struct DepthCurve: Equatable, Sendable {
    /// How much the threshold rises from the first exit to the last, in standard deviations.
    public var slope: Double
    /// How much it is higher at both ends than in the middle: a fourth of this, in standard deviations.
    public var bend: Double

    /// Creates a curve.
    public init(slope: Double, bend: Double = 0) {
        self.slope = slope
        self.bend = bend
    }

    /// [exits - 1]: what is added to the shared threshold.
    ///
    /// - Complexity: O(samples * exits).
    func offsets(on table: ScoreTable) -> [Double] {
        let count = table.scores.count
        let spread = Self.deviation(table.scores)
        return (0..<count).map { exit in
            let depth = count > 1 ? Double(exit) / Double(count - 1) - 0.5 : 0
            return (slope * depth + bend * (depth * depth - 1.0 / 12)) * spread
        }
    }

    /// The standard deviation of all scores of all exits together; 0 without samples.
    private static func deviation(_ rows: [[Double]]) -> Double {
        let count = Double(max(rows.reduce(0) { $0 + $1.count }, 1))
        let mean = rows.reduce(0) { $0 + $1.reduce(0, +) } / count
        return (rows.reduce(0) { $0 + $1.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } } / count).squareRoot()
    }

    /// The slopes that a search tries.
    public static let slopes: [Double] = [-2, -1, -0.5, 0, 0.5]

    /// The straight line along which the evidence on a table reaches furthest: the one whose fastest policy with enough
    /// evidence is the fastest of all. Evidence is the z-statistic, averaged over neighbours in cost so that no lucky policy
    /// decides, and enough is what the guarantee's level asks of a single test.
    ///
    /// Measured on resplits of the two recipes, this picks lines that certify nearly what the best fixed slope does;
    /// picking the line of the fastest tuned policy certifies less, and one sees why: that policy is at the edge of what is
    /// allowed, where lines differ by luck.
    ///
    /// Samples are taken for independent here and errors for the loss, whatever the guarantee says: it is a choice, and the
    /// certificate does not rest on it.
    ///
    /// - Returns: of equals the flattest; one shared threshold where no line has enough evidence anywhere.
    /// - Complexity: a sweep for each slope.
    static func pick(on table: ScoreTable, guarantee: Recipe.Guarantee) -> DepthCurve {
        let needed = -Normal.quantile(guarantee.level)
        var best = (curve: DepthCurve(slope: 0), cost: Double.infinity)
        // Of equals the flattest.
        for slope in slopes.sorted(by: { abs($0) < abs($1) }) {
            let curve = DepthCurve(slope: slope)
            let points = CandidateSet.curved(curve, on: table, allowedGap: guarantee.allowedGap).path.points(on: table)
            let costs = points.map(\.meanCost)
            let z = CandidateOrder.smoothed(
                points.map { gapZ($0.counts, allowedGap: guarantee.allowedGap) }, alongCosts: costs)
            let reached = costs.indices.filter { z[$0] >= needed }.map { costs[$0] }.min() ?? .infinity
            if reached < best.cost { best = (curve, reached) }
        }
        return best.curve
    }
}
