import Evaluation
import ExitRules

/// All distinct policies of one shared threshold, from "never leave early" to "everyone at once", found in one sweep.
///
/// As the threshold falls, a sample's exit changes only where the threshold meets a running maximum of its scores: with
/// a threshold in (s_j, s_i], where s_j is the running maximum before s_i, it leaves at exit i. So the running maxima of
/// all samples, sorted once, are all events there are. Between two neighbouring events nothing changes, and nothing is
/// missed: the sweep is exact, not a grid.
public struct SingleThresholdFrontier: Sendable {
    /// One policy of the frontier.
    public struct Point: Equatable, Sendable {
        /// The shared threshold, midway between the scores that bound the policy; nil is "never leave early".
        public let threshold: Double?
        /// The cost of all samples.
        public let costSum: Double
        /// Early wrong and final right.
        public let harmfulFlips: Int
        /// Early right and final wrong.
        public let helpfulFlips: Int
    }

    /// The policies, by falling threshold: the first is "never leave early", each costs less than the one before.
    public let points: [Point]
    /// How many samples the table had.
    public let sampleCount: Int
    /// How many exits the table had.
    public let exitCount: Int
    /// How many samples the reference gets wrong.
    public let referenceErrors: Int
    /// The cost of the final layer, for one sample.
    public let finalCost: Double

    /// Sweeps a table.
    ///
    /// - Complexity: O(N L log(N L)); memory O(N L) at worst, a few events a sample usually.
    public init(_ table: ScoreTable) {
        sampleCount = table.sampleCount
        exitCount = table.exitCount
        finalCost = table.costs[table.exitCount - 1]
        referenceErrors = table.referenceIsCorrect.count { !$0 }
        points = Self.sweep(table, events: Self.events(of: table))
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
        sampleCount == 0 ? 1 : finalCost / (point.costSum / Double(sampleCount))
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

    /// A sample changes its exit when the threshold falls to `score`.
    private struct Event {
        var score: Double
        /// The exit it takes above this score.
        var from: Int16
        /// The exit it takes from here down to its next event.
        var to: Int16
        /// Change of harmful flips, -1...1.
        var harmful: Int8
        /// Change of helpful flips, -1...1.
        var helpful: Int8
    }

    /// The running maxima of every sample.
    private static func events(of table: ScoreTable) -> [Event] {
        precondition(table.exitCount <= Int16.max, "a table has at most \(Int16.max) exits")
        let final = table.exitCount - 1
        var events: [Event] = []
        events.reserveCapacity(2 * table.sampleCount)
        var maxima: [Int] = []
        for sample in 0..<table.sampleCount {
            maxima.removeAll(keepingCapacity: true)
            for exit in 0..<final {
                let score = table.scores[exit][sample]
                // A score that is not a number never meets a threshold.
                if score.isNaN { continue }
                if let last = maxima.last, score <= table.scores[last][sample] { continue }
                maxima.append(exit)
            }
            let isRight = table.referenceIsCorrect[sample]
            func isHarmful(_ exit: Int) -> Int8 { isRight && !table.isCorrect[exit][sample] ? 1 : 0 }
            func isHelpful(_ exit: Int) -> Int8 { !isRight && table.isCorrect[exit][sample] ? 1 : 0 }
            // Above its largest score a sample goes to the end; from there it comes down maximum by maximum.
            var from = final
            for to in maxima.reversed() {
                events.append(
                    Event(
                        score: table.scores[to][sample], from: Int16(from), to: Int16(to),
                        harmful: isHarmful(to) - isHarmful(from), helpful: isHelpful(to) - isHelpful(from)))
                from = to
            }
        }
        return events
    }

    /// Applies the events by falling score, all of one score together.
    private static func sweep(_ table: ScoreTable, events: [Event]) -> [Point] {
        var events = events
        events.sort { $0.score > $1.score }
        var released = Array(repeating: 0, count: table.exitCount)
        released[table.exitCount - 1] = table.sampleCount
        // Flips of the final layer itself: none where it is the reference.
        let start = PairedCounts(
            isCorrect: table.isCorrect[table.exitCount - 1], referenceIsCorrect: table.referenceIsCorrect)
        var harmful = start.harmfulFlips
        var helpful = start.helpfulFlips
        var points = [
            Point(
                threshold: nil, costSum: totalCost(released: released, costs: table.costs), harmfulFlips: harmful,
                helpfulFlips: helpful)
        ]
        var index = 0
        while index < events.count {
            let score = events[index].score
            while index < events.count, events[index].score == score {
                released[Int(events[index].from)] -= 1
                released[Int(events[index].to)] += 1
                harmful += Int(events[index].harmful)
                helpful += Int(events[index].helpful)
                index += 1
            }
            let next = index < events.count ? events[index].score : nil
            points.append(
                Point(
                    threshold: thresholdBetween(score, next: next),
                    costSum: totalCost(released: released, costs: table.costs), harmfulFlips: harmful,
                    helpfulFlips: helpful))
        }
        return points
    }
}
