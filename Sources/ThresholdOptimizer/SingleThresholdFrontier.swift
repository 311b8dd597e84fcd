import Evaluation
import ExitRules
import LinearAlgebra

/// All distinct policies of one shared threshold, from "never leave early" to "everyone at once", found in one sweep.
///
/// As the threshold falls, a sample's exit changes only where the threshold meets a running maximum of its scores: with
/// a threshold in (s_j, s_i], where s_j is the running maximum before s_i, it leaves at exit i. So the running maxima of
/// all samples, sorted once, are all events there are. Between two neighbouring events nothing changes, and nothing is
/// missed: the sweep is exact, not a grid.
public struct SingleThresholdFrontier: Sendable {
    /// The policies, by falling threshold: the first is "never leave early", each costs less than the one before.
    public let points: [Point]
    /// How many running maxima the samples' scores have, all together.
    public let eventCount: Int
    /// How many samples the table had.
    public let sampleCount: Int
    /// How many exits the table had.
    public let exitCount: Int
    /// How many samples the reference gets wrong.
    public let referenceErrors: Int
    /// The cost of one sample without early exit.
    public let fullCost: Double

    /// Sweeps a table; the result does not depend on the number of threads.
    ///
    /// - Complexity: O(N L + E log E) for N samples, L exits and E events, from two or three a sample to one for each
    ///   exit; memory 40 bytes an event.
    public init(_ table: ScoreTable, threads: Int = Parallel.availableThreads) {
        precondition(
            table.exitCount <= ThresholdEvent.maximumExits,
            "a table has at most \(ThresholdEvent.maximumExits) exits")
        precondition(table.sampleCount <= Int32.max, "a table has at most \(Int32.max) samples")
        sampleCount = table.sampleCount
        exitCount = table.exitCount
        fullCost = table.fullCost
        referenceErrors = table.referenceIsCorrect.count { !$0 }
        let sorted = SortedEvents(of: RunningMaxima(table: table), threads: threads)
        eventCount = sorted.events.count
        points = FrontierSweep(table: table, sorted: sorted, threads: threads).points()
    }

    /// How many samples a point gets wrong.
    public func errors(of point: Point) -> Int {
        referenceErrors + point.harmfulFlips - point.helpfulFlips
    }

    /// The flips of a point, as counts.
    public func counts(of point: Point) -> PairedCounts {
        PairedCounts(
            samples: sampleCount, harmfulFlips: point.harmfulFlips, helpfulFlips: point.helpfulFlips)
    }

    /// The speed-up of a point; 1 without samples.
    public func speedUp(of point: Point) -> Double {
        sampleCount == 0 ? 1 : fullCost / (point.costSum / Double(sampleCount))
    }

    /// A point as one threshold for each exit.
    public func thresholds(of point: Point) -> Thresholds {
        .shared(point.threshold, exitCount: exitCount)
    }

    /// The fastest point with a risk gap of at most `allowedGap`.
    ///
    /// Against the final layer there always is one: "never leave early" has a gap of 0. Against another reference there
    /// may be none, and that point comes back all the same.
    ///
    /// - Complexity: O(points).
    public func best(allowedGap: Double) -> Point {
        let limit = RiskConstraint(allowedGap: allowedGap).largestExcess(samples: sampleCount)
        // Costs fall along the frontier, so the last admissible point is the fastest.
        return points.last { $0.harmfulFlips - $0.helpfulFlips <= limit } ?? points[0]
    }
}
