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
        var events = EventSegments(of: shared, most: most, threads: threads)
        thresholds = Self.thresholds(between: events.segments)
        let limit = RiskConstraint(allowedGap: allowedGap).largestExcess(samples: shared.sampleCount)
        // Flips of "never leave early", where the final layer is not the reference.
        let table = shared.table
        let never = shared.ranks.sums([table.flips(exit: table.exitCount - 1).reduce(0) { $0 + Int($1) }])[0]
        while true {
            var excess = never
            var known: Int?
            var uncertain: [Int] = []
            for (index, segment) in events.segments.enumerated() {
                if segment.hasInside, excess - segment.fall <= limit { uncertain.append(index) }
                excess += segment.harmful - segment.helpful
                if excess <= limit {
                    known = index
                    // What is slower does not matter any more; a policy inside the segment is slower than its end.
                    uncertain = []
                }
            }
            // A few at a time, the fastest first: most will not have to be divided.
            guard !uncertain.isEmpty else {
                best = known.map { Self.threshold(after: $0, in: events.segments) }
                return
            }
            events.divide(Array(uncertain.suffix(64)), upTo: 0)
        }
    }

    /// The threshold at the end of each segment.
    private static func thresholds(between segments: [EventSegments.Segment]) -> [Double] {
        segments.indices.map { threshold(after: $0, in: segments) }
    }

    /// Midway between the last score of a segment and the first of the next.
    private static func threshold(after index: Int, in segments: [EventSegments.Segment]) -> Double {
        let next = index + 1 < segments.count ? ThresholdEvent.score(of: segments[index + 1].first) : nil
        return thresholdBetween(ThresholdEvent.score(of: segments[index].last), next: next)
    }
}
