import Evaluation
import ExitRules
import LinearAlgebra
import Ranks

/// Policies of one shared threshold on a shared table, from safe to fast.
///
/// Where the table has at most ``mostEvents`` events these are all distinct policies there are, the points of
/// ``SingleThresholdFrontier``. Where it has more, they are some of those points, a few ten thousand, evenly spread over
/// the events: candidates that differ by less than that many samples are the same to any test. The fastest admissible policy
/// is exact in both cases: around it the segments are divided until none can hide a faster one.
public struct SharedFrontier: Sendable {
    /// Up to so many events every policy is a point.
    public static let mostEvents = 65_536

    /// The thresholds, falling; "never leave early" is none of them.
    public let thresholds: [Double]
    /// [thresholds]: what each does on the table, all samples together; the same as ``SharedTable/points(of:)``.
    public let points: [PolicyPath.Point]
    /// The fastest policy whose gap is within the allowed one; nil is "never leave early".
    public let best: Double?

    /// Sweeps a table; the result does not depend on the number of ranks or threads.
    ///
    /// - Parameters:
    ///   - shared: the table.
    ///   - allowedGap: a fraction.
    ///   - most: up to so many events every policy is a point.
    ///   - threads: how many this rank may use.
    /// - Complexity: O(n L + e log e) for n samples, L exits and e events of a rank.
    public init(
        _ shared: SharedTable, allowedGap: Double, mostEvents most: Int = Self.mostEvents,
        threads: Int = Parallel.availableThreads
    ) {
        precondition(
            shared.table.exitCount <= ThresholdEvent.maximumExits,
            "a table has at most \(ThresholdEvent.maximumExits) exits")
        let sorted = SortedEvents(of: RunningMaxima(table: shared.table), threads: threads)
        var events = EventSegments(
            sorted.events, exitCount: shared.table.exitCount, among: shared.ranks, most: most)
        thresholds = events.segments.indices.map { Self.threshold(after: $0, in: events.segments) }
        let never = NeverLeaving(on: shared)
        points = never.points(along: events.segments)
        let limit = RiskConstraint(allowedGap: allowedGap).largestExcess(samples: shared.sampleCount)
        let found = events.lastOfLeastViolation(from: never.harmful - never.helpful, limit: limit)
        best =
            found.violation > 0
            ? nil
            : found.place.map { place in
                let index = events.segments.firstIndex { ThresholdEvent.score(of: $0.last) == place.score }!
                return Self.threshold(after: index, in: events.segments)
            }
    }

    /// Midway between the last score of a segment and the first of the next.
    private static func threshold(after index: Int, in segments: [EventSegments.Segment]) -> Double {
        let next = index + 1 < segments.count ? ThresholdEvent.score(of: segments[index + 1].first) : nil
        return thresholdBetween(ThresholdEvent.score(of: segments[index].last), next: next)
    }
}

/// "Never leave early" on a shared table: where a sweep begins.
private struct NeverLeaving {
    let samples: Int
    let costs: [Double]
    /// There are flips where the final layer is not the reference.
    let harmful: Int
    let helpful: Int

    init(on shared: SharedTable) {
        let flips = shared.table.flips(exit: shared.table.exitCount - 1)
        let sums = shared.ranks.sums([flips.count { $0 > 0 }, flips.count { $0 < 0 }])
        (samples, costs, harmful, helpful) = (shared.sampleCount, shared.table.costs, sums[0], sums[1])
    }

    /// What the policies at the ends of segments do.
    func points(along segments: [EventSegments.Segment]) -> [PolicyPath.Point] {
        var released = Array(repeating: 0, count: costs.count - 1) + [samples]
        var (harmful, helpful) = (harmful, helpful)
        return segments.map { segment in
            for exit in released.indices { released[exit] += segment.released[exit] }
            harmful += segment.harmful
            helpful += segment.helpful
            return PolicyPath.Point(
                counts: PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful),
                costSum: totalCost(released: released, costs: costs))
        }
    }
}
