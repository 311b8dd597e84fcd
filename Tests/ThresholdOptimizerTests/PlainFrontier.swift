import Evaluation
import ExitRules
import Statistics

@testable import ThresholdOptimizer

/// The plain form of the exact sweep, which the fast one is held against: a sample's maxima one by one, all events
/// sorted at once, every cost added anew.
enum PlainFrontier {
    /// What ``SingleThresholdFrontier/Point`` holds.
    struct Point {
        let threshold: Double?
        let costSum: Double
        let harmfulFlips: Int
        let helpfulFlips: Int
    }

    private struct Event {
        var score: Double
        var from: Int
        var to: Int
        var harmful: Int
        var helpful: Int
    }

    /// The points by falling threshold.
    ///
    /// - Complexity: O(N L log(N L)).
    static func points(of table: ScoreTable) -> [Point] {
        sweep(table, events: events(of: table).sorted { $0.score > $1.score })
    }

    /// The running maxima of every sample.
    private static func events(of table: ScoreTable) -> [Event] {
        let final = table.exitCount - 1
        var events: [Event] = []
        for sample in 0..<table.sampleCount {
            var maxima: [Int] = []
            for exit in 0..<final {
                let score = table.scores[exit][sample]
                // A score that is not a number never meets a threshold.
                if score.isNaN { continue }
                if let last = maxima.last, score <= table.scores[last][sample] { continue }
                maxima.append(exit)
            }
            let isRight = table.referenceIsCorrect[sample]
            func harmful(_ exit: Int) -> Int { isRight && !table.isCorrect[exit][sample] ? 1 : 0 }
            func helpful(_ exit: Int) -> Int { !isRight && table.isCorrect[exit][sample] ? 1 : 0 }
            // Above its largest score a sample goes to the end; from there it comes down maximum by maximum.
            var from = final
            for to in maxima.reversed() {
                events.append(
                    Event(
                        score: table.scores[to][sample], from: from, to: to, harmful: harmful(to) - harmful(from),
                        helpful: helpful(to) - helpful(from)))
                from = to
            }
        }
        return events
    }

    /// Applies the events, all of one score together.
    private static func sweep(_ table: ScoreTable, events: [Event]) -> [Point] {
        var released = Array(repeating: 0, count: table.exitCount)
        released[table.exitCount - 1] = table.sampleCount
        let start = PairedCounts(
            isCorrect: table.isCorrect[table.exitCount - 1], referenceIsCorrect: table.referenceIsCorrect)
        var (harmful, helpful) = (start.harmfulFlips, start.helpfulFlips)
        var points: [Point] = []
        func append(_ threshold: Double?) {
            points.append(
                Point(
                    threshold: threshold, costSum: totalCost(released: released, costs: table.costs),
                    harmfulFlips: harmful, helpfulFlips: helpful))
        }
        append(nil)
        var index = 0
        while index < events.count {
            let score = events[index].score
            while index < events.count, events[index].score == score {
                released[events[index].from] -= 1
                released[events[index].to] += 1
                harmful += events[index].harmful
                helpful += events[index].helpful
                index += 1
            }
            append(thresholdBetween(score, next: index < events.count ? events[index].score : nil))
        }
        return points
    }
}

/// Scores that are rare in real tables and awkward to sort.
enum RareScores {
    /// Replaces one score in six by zeros, infinities, neighbours of other scores, numbers of all sizes, and no numbers.
    static func mixed(into table: ScoreTable, seed: UInt64) -> ScoreTable {
        var generator = SplitMix64(seed: seed)
        var table = table
        for exit in table.scores.indices {
            for sample in table.scores[exit].indices where Int.random(in: 0..<6, using: &generator) == 0 {
                let old = table.scores[exit][sample]
                let rare: [Double] = [
                    .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 1e300,
                    -1e300,
                    old.nextUp, old.nextDown, -old,
                    Double(sign: .plus, exponent: -Int.random(in: 0..<1000, using: &generator), significand: 1.5),
                ]
                table.scores[exit][sample] = rare.randomElement(using: &generator)!
            }
        }
        return table
    }

    /// How the scores of a table may be spread.
    enum Spread: String, CaseIterable {
        /// As they are.
        case even
        /// On both sides of 0, as relative to a threshold.
        case signed
        /// A tenth of them equal, the others in their last bits.
        case clustered
        /// Few values, each many times.
        case rounded
        /// Over hundreds of powers of two.
        case wide
        /// The samples in the order of their first score.
        case ordered
        /// No number at all in most samples, the drawn ones among them perhaps.
        case sparse
        /// All the same.
        case constant

        /// Respreads the scores of a table.
        func apply(to table: inout ScoreTable) {
            switch self {
            case .even: break
            case .signed: change(&table) { $0 - 2 }
            case .clustered: change(&table) { $0 > 2.5 ? 1 : 1 + $0 * 1e-13 }
            case .rounded: change(&table) { ($0 * 8).rounded() / 8 }
            case .wide: change(&table) { Double(sign: .plus, exponent: Int(200 * $0) - 400, significand: 1 + $0 / 8) }
            case .ordered:
                let first = table.scores[0]
                table = table.selecting(first.indices.sorted { first[$0] < first[$1] })
            case .sparse:
                for exit in table.scores.indices {
                    for sample in table.scores[exit].indices where sample % 64 != 63 {
                        table.scores[exit][sample] = .nan
                    }
                }
            case .constant: change(&table) { _ in 0.5 }
            }
        }

        private func change(_ table: inout ScoreTable, _ body: (Double) -> Double) {
            table.scores = table.scores.map { $0.map(body) }
        }
    }
}
