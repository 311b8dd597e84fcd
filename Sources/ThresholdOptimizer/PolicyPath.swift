import Evaluation
import ExitRules

/// Policies along which no threshold rises: from one to the next, samples leave where they left or earlier.
///
/// Policy k has the threshold `base[i] + shifts[k]` at exit i, so a shared threshold (all bases 0) and thresholds of
/// their own with a common shift are paths. Because policies are nested, one pass over the samples counts all of them.
public struct PolicyPath: Equatable, Sendable {
    /// [exits - 1]: what the shift is added to; nil where no sample ever leaves.
    public let base: [Double?]
    /// [policies]: from safe to fast, so falling; without NaN.
    public let shifts: [Double]

    /// Creates a path.
    public init(base: [Double?], shifts: [Double]) {
        precondition(base.allSatisfy { $0?.isNaN != true }, "a base is a number or nil")
        precondition(zip(shifts, shifts.dropFirst()).allSatisfy { $0 >= $1 }, "no threshold rises along a path")
        self.base = base
        self.shifts = shifts
    }

    /// The path of one shared threshold.
    public init(sharedThresholds: [Double], exitCount: Int) {
        self.init(base: Array(repeating: 0, count: exitCount - 1), shifts: sharedThresholds)
    }

    /// How many policies there are.
    public var count: Int { shifts.count }

    /// The thresholds of a policy.
    public func thresholds(of policy: Int) -> Thresholds {
        Thresholds(base.map { $0.map { $0 + shifts[policy] } })
    }

    /// The policies at some places, which rise.
    public func selecting(_ policies: [Int]) -> PolicyPath {
        PolicyPath(base: base, shifts: policies.map { shifts[$0] })
    }

    /// What one policy of a path does on a table.
    public struct Point: Equatable, Sendable {
        /// Flips against the table's reference.
        public let counts: PairedCounts
        /// The cost of all samples together.
        public let costSum: Double

        /// The mean cost; NaN without samples.
        public var meanCost: Double { costSum / Double(counts.samples) }
    }

    /// [policies]: what every policy does on a table; the same as ``evaluate(_:on:)`` one by one.
    ///
    /// - Complexity: O(N L + events log P + P L) for N samples, L exits and P policies, an event being a policy from which
    ///   on a sample leaves earlier: at most L a sample, two or three usually.
    public func points(on table: ScoreTable) -> [Point] {
        points(changes: changes(on: table), sampleCount: table.sampleCount, costs: table.costs)
    }

    /// [exits + 2][policies + 1]: by how many samples each count changes from the policy before: those that leave at each
    /// exit, harmful flips, helpful flips. Changes of different samples add up.
    func changes(on table: ScoreTable) -> [Int] {
        let (stride, final) = (count + 1, table.exitCount)
        var changes = Array(repeating: 0, count: (table.exitCount + 2) * stride)
        changes.withUnsafeMutableBufferPointer { changes in
            forEachStay(on: table) { sample, exit, policies in
                changes[exit * stride + policies.lowerBound] += 1
                changes[exit * stride + policies.upperBound] -= 1
                let flip = table.flip(exit: exit, sample: sample)
                guard flip != 0 else { return }
                let row = (flip > 0 ? final : final + 1) * stride
                changes[row + policies.lowerBound] += 1
                changes[row + policies.upperBound] -= 1
            }
        }
        return changes
    }

    /// [policies]: what ``changes(on:)`` add up to.
    func points(changes: [Int], sampleCount: Int, costs: [Double]) -> [Point] {
        let (stride, exits) = (count + 1, costs.count)
        var now = Array(repeating: 0, count: exits + 2)
        return (0..<count).map { policy in
            for row in now.indices { now[row] += changes[row * stride + policy] }
            return Point(
                counts: PairedCounts(samples: sampleCount, harmfulFlips: now[exits], helpfulFlips: now[exits + 1]),
                costSum: totalCost(released: Array(now.prefix(exits)), costs: costs))
        }
    }

    /// Calls with every sample, exit and policies such that the sample leaves at that exit under just these policies.
    func forEachStay(on table: ScoreTable, _ body: (_ sample: Int, _ exit: Int, _ policies: Range<Int>) -> Void) {
        precondition(base.count == table.exitCount - 1, "a base for each exit but the last")
        guard count > 0 else { return }
        // [samples]: the first policy under which the sample has left at the exits so far.
        var first = Array(repeating: count, count: table.sampleCount)
        for (exit, base) in base.enumerated() {
            guard let base else { continue }
            let thresholds = shifts.map { base + $0 }
            table.scores[exit].withUnsafeBufferPointer { scores in
                for sample in scores.indices {
                    let before = first[sample]
                    // Leaving here matters only under policies with which it has not left yet.
                    guard before > 0, scores[sample] >= thresholds[before - 1] else { continue }
                    let now = firstMet(by: scores[sample], in: thresholds[..<before])
                    first[sample] = now
                    body(sample, exit, now..<before)
                }
            }
        }
        for sample in first.indices where first[sample] > 0 { body(sample, table.exitCount - 1, 0..<first[sample]) }
    }
}
