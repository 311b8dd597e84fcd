import Evaluation
import ExitRules
import LinearAlgebra
import Ranks

/// ``CoordinateSearch`` on a table that ranks share: the same line searches on merged counts, with one threshold moved at a time,
/// from the best single threshold, from "never", and from the per-exit rule.
///
/// A line search divides the scores of the exit into segments whose counts all ranks add up, and divides those further that may
/// hide a better threshold, until none can. So it is exact, and what ranks exchange does not grow with the samples.
public struct SharedCoordinateSearch {
    private let shared: SharedTable
    private let constraint: RiskConstraint
    private let limit: Int
    /// [exits - 1]: this rank's samples by falling score.
    private let rankings: [ScoreRanking]
    /// [exits][samples]: the excess that leaving there adds.
    private let flips: [[Int8]]

    /// So many segments a line search begins with.
    private static let segmentCount = 1024

    /// Sorts the scores of this rank's samples.
    ///
    /// - Parameters:
    ///   - shared: the table.
    ///   - allowedGap: a fraction.
    ///   - threads: how many this rank may use.
    /// - Complexity: O(n L log n) for n samples of this rank and L exits.
    public init(_ shared: SharedTable, allowedGap: Double, threads: Int = Parallel.availableThreads) {
        self.shared = shared
        let table = shared.table
        constraint = RiskConstraint(allowedGap: allowedGap)
        limit = constraint.largestExcess(samples: shared.sampleCount)
        rankings = Parallel.map(table.exitCount - 1, threads: threads) { ScoreRanking(scores: table.scores[$0]) }
        flips = (0..<table.exitCount).map(table.flips)
    }

    /// The thresholds that `CoordinateSearch.run(randomStarts: 0, moves: .single)` ends with on all samples.
    ///
    /// - Parameter single: the best single threshold; nil is "never".
    /// - Complexity: O(n) a line search, for n samples of this rank.
    public func run(from single: Double?) -> Thresholds {
        let exits = shared.table.exitCount
        let starts: [Thresholds] = [
            .shared(single, exitCount: exits), .neverLeaveEarly(exitCount: exits), perExitRule(),
        ]
        let ends = starts.map(improved)
        let ranks = ends.map { PolicyRank(shared.outcome(of: $0), constraint: constraint) }
        // The first of equals wins.
        var best = 0
        for index in ends.indices where ranks[index] < ranks[best] { best = index }
        return ends[best]
    }

    /// Passes over the exits until one moves nothing.
    private func improved(_ start: Thresholds) -> Thresholds {
        var values = start.values
        // As in `CoordinateSearch.improved(_:)`: back at the last exit that moved, all exits have been seen at rest.
        var lastMoved = rankings.count - 1
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            let (later, present) = flipsOfLaterExits(values)
            var pass = Pass(
                waiting: Array(repeating: true, count: shared.table.sampleCount), excess: present)
            for exit in rankings.indices {
                if moveToBest(&values[exit], exit: exit, start: start.values[exit], later: later[exit], pass: &pass) {
                    hasMoved = true
                    lastMoved = exit
                } else if !hasMoved, exit == lastMoved {
                    break
                }
                release(&pass.waiting, exit: exit, threshold: values[exit])
            }
        }
        return Thresholds(values)
    }

    /// What a pass over the exits knows of this rank's samples when it comes to one of them.
    private struct Pass {
        /// [samples]: whether it has not left before this exit.
        var waiting: [Bool]
        /// The excess of all of them.
        var excess: Int
    }

    /// Moves an exit to its best threshold, or leaves it where another is no better.
    ///
    /// - Parameter later: [samples]: the flip a sample adds when it does not leave here or before.
    private func moveToBest(
        _ current: inout Double?, exit: Int, start: Double?, later: [Int8], pass: inout Pass
    ) -> Bool {
        let scores = shared.table.scores[exit]
        let flips = flips[exit]
        var events: [ThresholdEvent] = []
        // The excess where none leaves here, and how many leave now.
        var (excess, released) = (pass.excess, 0)
        for sample in rankings[exit].order.map(Int.init) where pass.waiting[sample] {
            let added = Int(flips[sample]) - Int(later[sample])
            events.append(
                ThresholdEvent(
                    score: scores[sample], from: 0, to: 0, harmful: max(0, added), helpful: max(0, -added)))
            if let current, scores[sample] >= current {
                excess -= added
                released += 1
            }
        }
        let sums = shared.ranks.sums([excess, released])
        var segments = EventSegments(
            events, exitCount: 1, among: shared.ranks, most: Self.segmentCount)
        let best = segments.lastOfLeastViolation(from: sums[0], limit: limit).place
        // The same samples leave: the same policy.
        guard best?.events ?? 0 != sums[1] else { return false }
        current = threshold(exit: exit, releasing: best?.score, keeping: start)
        pass.excess = excess
        for sample in pass.waiting.indices where pass.waiting[sample] {
            if let best, scores[sample] >= best.score { pass.excess += Int(flips[sample]) - Int(later[sample]) }
        }
        return true
    }

    /// The threshold that releases a score and all above it; the start's, where that does so.
    private func threshold(exit: Int, releasing score: Double?, keeping start: Double?) -> Double? {
        // The next lower score of all samples, as a key: keys rise as scores fall.
        let values = rankings[exit].values
        var own: Double?
        if let score {
            let cut = rankings[exit].cut(threshold: score)
            own = cut < values.count ? values[cut] : nil
        } else {
            own = values.first
        }
        // Turned round, so that the largest is the first of the keys; 0 where there is none.
        let first = shared.ranks.maxima([own.map { ~ThresholdEvent.key(of: $0) } ?? 0])[0]
        let next = first == 0 ? nil : ThresholdEvent.score(of: ~first)
        if let start, score.map({ start <= $0 }) ?? true, next.map({ start > $0 }) ?? true { return start }
        return score.map { thresholdBetween($0, next: next) }
    }

    /// [exits - 1][samples]: the flip a sample adds when it does not leave at the exit or before; and the sum of the flips
    /// of this rank's samples.
    private func flipsOfLaterExits(_ values: [Double?]) -> (later: [[Int8]], excess: Int) {
        let table = shared.table
        var later = Array(repeating: [Int8](), count: rankings.count)
        var row = flips[table.exitCount - 1]
        for exit in rankings.indices.reversed() {
            later[exit] = row
            guard let threshold = values[exit] else { continue }
            for sample in row.indices where table.scores[exit][sample] >= threshold {
                row[sample] = flips[exit][sample]
            }
        }
        return (later, row.reduce(0) { $0 + Int($1) })
    }

    private func release(_ waiting: inout [Bool], exit: Int, threshold: Double?) {
        guard let threshold else { return }
        let scores = shared.table.scores[exit]
        for sample in waiting.indices where scores[sample] >= threshold { waiting[sample] = false }
    }

    /// ``PerExitRule/thresholds(on:)`` on all samples.
    private func perExitRule() -> Thresholds {
        let table = shared.table
        let finalErrors = shared.errors(ofExit: table.exitCount - 1)
        // "wrong / released at most finalErrors / samples" in whole numbers: an excess of at most 0 at these prices.
        let prices = EventSegments.Prices(harmful: shared.sampleCount - finalErrors, helpful: finalErrors)
        var waiting = Array(repeating: true, count: table.sampleCount)
        return Thresholds(
            rankings.indices.map { exit in
                let events = rankings[exit].order.map(Int.init).filter { waiting[$0] }.map { sample in
                    let isCorrect = table.isCorrect[exit][sample]
                    return ThresholdEvent(
                        score: table.scores[exit][sample], from: 0, to: 0, harmful: isCorrect ? 0 : 1,
                        helpful: isCorrect ? 1 : 0)
                }
                var segments = EventSegments(
                    events, exitCount: 1, among: shared.ranks, most: Self.segmentCount, prices: prices)
                // Before all events nobody is released, which obeys any rule.
                let best = segments.lastOfLeastViolation(from: 0, limit: 0).place
                let value = best.flatMap { threshold(exit: exit, releasing: $0.score, keeping: nil) }
                release(&waiting, exit: exit, threshold: value)
                return value
            })
    }
}
