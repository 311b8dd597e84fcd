import ExitRules
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("The exact sweep of one shared threshold")
struct SingleThresholdFrontierTests {
    @Test("gives every distinct policy, in order and decision by decision, as brute force does: 4000 random tables")
    func everyPolicy() {
        for table in RandomTables(seed: 1, count: 4000, anyReference: true) {
            let frontier = SingleThresholdFrontier(table)
            // Every observed score is a threshold to try; equal decisions in a row are one policy.
            let scores = Set(table.scores.joined()).sorted(by: >)
            var expected: [[Int]] = []
            for value in [nil] + scores.map(Optional.some) {
                let exits = table.exitsTaken(.shared(value, exitCount: table.exitCount))
                if exits != expected.last { expected.append(exits) }
            }
            let found = frontier.points.map { table.exitsTaken(frontier.thresholds(of: $0)) }
            #expect(found == expected)
        }
    }

    @Test(
        "each point's counts, errors and cost are those of its thresholds on the same table, to the bit",
        arguments: [false, true])
    func pointsAreTrue(anyReference: Bool) {
        for table in RandomTables(seed: 2, count: 2000, maximumSamples: 30, anyReference: anyReference) {
            let frontier = SingleThresholdFrontier(table)
            for point in frontier.points {
                let outcome = evaluate(frontier.thresholds(of: point), on: table)
                #expect(frontier.counts(of: point) == outcome.counts)
                #expect(frontier.errors(of: point) == outcome.errors)
                #expect(point.costSum == outcome.costSum && frontier.speedUp(of: point) == outcome.speedUp)
            }
            #expect(frontier.points[0].threshold == nil)
            #expect(zip(frontier.points, frontier.points.dropFirst()).allSatisfy { $0.costSum > $1.costSum })
        }
    }

    @Test("the best point is the best of all shared thresholds at every allowed gap")
    func best() {
        for table in RandomTables(seed: 3, count: 1500) {
            let frontier = SingleThresholdFrontier(table)
            let policies = ([nil] + Set(table.scores.joined()).map(Optional.some)).map {
                Thresholds.shared($0, exitCount: table.exitCount)
            }
            for allowedGap in [0, 0.1, 0.29, 1] {
                let best = frontier.thresholds(of: frontier.best(allowedGap: allowedGap))
                let rank = BruteForce.rank(best, on: table, allowedGap: allowedGap)
                #expect(rank.violation == 0)
                #expect(rank.costSum == BruteForce.bestRank(policies, on: table, allowedGap: allowedGap).costSum)
            }
        }
    }

    @Test("against any reference it is the best of all shared thresholds too, and never where none is admissible")
    func bestAgainstAnyReference() {
        var inadmissible = 0
        for table in RandomTables(seed: 4, count: 3000, anyReference: true) {
            let frontier = SingleThresholdFrontier(table)
            let policies = ([nil] + Set(table.scores.joined()).map(Optional.some)).map {
                Thresholds.shared($0, exitCount: table.exitCount)
            }
            for allowedGap in [0, 0.1, 0.29] {
                let point = frontier.best(allowedGap: allowedGap)
                let rank = BruteForce.rank(frontier.thresholds(of: point), on: table, allowedGap: allowedGap)
                let best = BruteForce.bestRank(policies, on: table, allowedGap: allowedGap)
                if best.violation > 0 {
                    #expect(point.threshold == nil)
                    inadmissible += 1
                } else {
                    #expect(rank.violation == 0 && rank.costSum == best.costSum)
                }
            }
        }
        #expect(inadmissible > 300, "tables on which nothing is admissible come up: \(inadmissible)")
    }

    @Test("points are those of the plain sweep, to the bit, with any number of threads: 6000 random tables")
    func plainSweepOnSmallTables() {
        for (index, table) in RandomTables(seed: 5, count: 6000, maximumSamples: 60, anyReference: true).enumerated() {
            let awkward = index % 2 == 0 ? table : RareScores.mixed(into: table, seed: UInt64(index))
            expectPlainSweep(of: awkward, threads: [1, 3])
        }
    }

    @Test(
        "so they are on tables of many blocks and buckets, however the scores are spread",
        arguments: RareScores.Spread.allCases)
    func plainSweepOnLargeTables(spread: RareScores.Spread) {
        var table = SyntheticTable.make(samples: 60_000, exits: 6, seed: 6)
        spread.apply(to: &table)
        if spread == .even { #expect(EventSplitters(of: RunningMaxima(table: table)).bucketCount > 4) }
        expectPlainSweep(of: table, threads: [1, 2, 7])
        expectPlainSweep(of: RareScores.mixed(into: table, seed: 7), threads: [1, 2, 7])
    }

    @Test("tables without samples and with one exit have one point")
    func emptyTables() {
        let none = ScoreTable(scores: [[], []], isCorrect: [[], [], []], costs: [1, 2, 3])
        let single = ScoreTable(scores: [], isCorrect: [[true, false]], costs: [2])
        for table in [none, single] {
            expectPlainSweep(of: table, threads: [1, 2])
            #expect(SingleThresholdFrontier(table).points.map(\.threshold) == [nil])
        }
    }

    @Test("events sort as `sort` sorts their keys, clustered ones too")
    func eventSort() {
        var generator = SplitMix64(seed: 8)
        for count in [0, 1, 2, 16, 17, 100, 5000, 40_000] {
            // The scores of a cluster differ in their last bits; the clusters lie many powers of two apart.
            for clusters in [1, 3, 50] {
                let events = (0..<count).map { index in
                    let cluster = Double(
                        sign: .plus, exponent: -20 * Int.random(in: 0..<clusters, using: &generator), significand: 1)
                    let score =
                        index % 7 == 0
                        ? -cluster : cluster * (1 + Double(Int.random(in: 0..<3000, using: &generator)) * .ulpOfOne)
                    return ThresholdEvent(score: score, from: index % 300, to: 0, harmful: 0, helpful: 0)
                }
                var sorted = events
                sorted.withUnsafeMutableBufferPointer { sortByKey($0) }
                #expect(sorted.map(\.key) == events.map(\.key).sorted())
                // Nothing but moved.
                #expect(sorted.map(\.from).sorted() == events.map(\.from).sorted())
            }
        }
    }

    @Test("keys fall as scores rise, both zeros have one, and events keep what they are made of")
    func keys() {
        let scores = [
            -Double.infinity, -.greatestFiniteMagnitude, -1.5, -1, -.leastNonzeroMagnitude, 0, .leastNonzeroMagnitude,
            0.1,
            1.0.nextDown, 1, .greatestFiniteMagnitude, .infinity,
        ]
        let keys = scores.map(ThresholdEvent.key)
        #expect(zip(keys, keys.dropFirst()).allSatisfy { $0 > $1 })
        #expect(keys.map(ThresholdEvent.score) == scores)
        #expect(ThresholdEvent.key(of: -0.0) == ThresholdEvent.key(of: 0.0))
        for (harmful, helpful) in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)] {
            let event = ThresholdEvent(score: 0.5, from: 32_766, to: 12_345, harmful: harmful, helpful: helpful)
            #expect((event.from, event.to, event.harmful, event.helpful) == (32_766, 12_345, harmful, helpful))
        }
    }

    @Test("thresholds lie midway between the scores that bound a policy, and 1 below the smallest")
    func midway() {
        let table = ScoreTable(
            scores: [[0.5, 0.25]], isCorrect: [[true, true], [true, true]], costs: [1, 2])
        #expect(SingleThresholdFrontier(table).points.map(\.threshold) == [nil, 0.375, -0.75])
    }

    @Test("a score below an earlier one of the same sample never matters")
    func dominatedScores() {
        // At exit 1 the sample has less than at exit 0, so no shared threshold lets it leave there.
        let table = ScoreTable(scores: [[0.5], [0.4]], isCorrect: [[true], [false], [true]], costs: [1, 2, 3])
        let frontier = SingleThresholdFrontier(table)
        #expect(frontier.points.map(\.threshold) == [nil, -0.5])
        #expect(frontier.points.map(\.harmfulFlips) == [0, 0])
    }

    @Test("where no admissible policy leaves early, the answer is never, as a value")
    func neverIsAValue() {
        let table = ScoreTable(
            scores: [[0.5, 0.6]], isCorrect: [[false, false], [true, true]], costs: [1, 2])
        let frontier = SingleThresholdFrontier(table)
        #expect(frontier.best(allowedGap: 0).threshold == nil)
        #expect(frontier.thresholds(of: frontier.best(allowedGap: 0)) == .neverLeaveEarly(exitCount: 2))
    }

    @Test("neighbouring Doubles, huge, infinite and missing scores still part exactly")
    func awkwardScores() {
        let up = 1.0.nextUp
        let infinity = Double.infinity
        let greatest = Double.greatestFiniteMagnitude
        let cases: [[Double]] = [
            [1, up, up.nextUp, 1.0.nextDown], [1e300, -1e300, 1e300.nextUp, 0], [infinity, -infinity, 0, 1],
            [.leastNonzeroMagnitude, 0, -0.0, 1], [greatest, -greatest, infinity, 3], [.nan, 1, 2, .nan],
        ]
        for scores in cases {
            let flags = Array(repeating: true, count: 4)
            let table = ScoreTable(scores: [scores], isCorrect: [flags, flags], costs: [1, 2])
            let frontier = SingleThresholdFrontier(table)
            for point in frontier.points {
                #expect(evaluate(frontier.thresholds(of: point), on: table).costSum == point.costSum)
            }
            let numbers = scores.filter { !$0.isNaN }
            #expect(frontier.points.count == Set(numbers).count + 1)
            // The same through the ranking that the other searches use.
            let ranking = ScoreRanking(scores: scores)
            for cut in 0...ranking.count {
                let threshold = ranking.threshold(cut: cut)
                #expect(ranking.cut(threshold: threshold) == cut)
                #expect(numbers.count { score in threshold.map { score >= $0 } ?? false } == ranking.ends[cut])
            }
        }
    }

    /// Holds a table's frontier against ``PlainFrontier``.
    private func expectPlainSweep(of table: ScoreTable, threads: [Int]) {
        let expected = PlainFrontier.points(of: table)
        for threads in threads {
            let frontier = SingleThresholdFrontier(table, threads: threads)
            #expect(frontier.points.count == expected.count)
            // Bits, except that the zero between -0.0 and 0.0 may have either sign.
            let same = zip(frontier.points, expected).allSatisfy { found, plain in
                found.threshold == plain.threshold && found.costSum.bitPattern == plain.costSum.bitPattern
                    && found.harmfulFlips == plain.harmfulFlips && found.helpfulFlips == plain.helpfulFlips
            }
            #expect(same, "\(threads) threads")
        }
    }
}
