import ExitRules
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("Coordinate search")
struct CoordinateSearchTests {
    @Test(
        "a line search ends where trying every threshold of that exit ends: 2000 random tables and starts",
        arguments: [false, true])
    func lineSearch(anyReference: Bool) {
        var generator = SplitMix64(seed: 30)
        for table in RandomTables(seed: 31, count: 2000, maximumSamples: 14, anyReference: anyReference) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let start = Thresholds(
                table.scores.indices.map {
                    BruteForce.thresholds(of: table, exit: $0).randomElement(using: &generator)!
                })
            for exit in table.scores.indices {
                let found = search.lineSearch(exit: exit, from: start)
                let moves = BruteForce.singleMoves(of: table, from: start, exit: exit)
                let rank = BruteForce.rank(found, on: table, allowedGap: allowedGap)
                let best = BruteForce.bestRank(moves, on: table, allowedGap: allowedGap)
                #expect(rank.violation == best.violation && rank.costSum == best.costSum && rank.excess == best.excess)
                for other in table.scores.indices where other != exit {
                    #expect(found.values[other] == start.values[other])
                }
                let startRank = BruteForce.rank(start, on: table, allowedGap: allowedGap)
                #expect(rank < startRank || found == start, "thresholds change only when that is an improvement")
            }
        }
    }

    @Test("the result is admissible, no worse than any start, and no single threshold improves it: 1200 random tables")
    func result() {
        var generator = SplitMix64(seed: 32)
        for table in RandomTables(seed: 33, count: 1200, maximumSamples: 14) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let result = CoordinateSearch(table: table, allowedGap: allowedGap).run(randomStarts: 3, using: &generator)
            let best = BruteForce.rank(result.best.thresholds, on: table, allowedGap: allowedGap)
            #expect(best.violation == 0)
            #expect(result.best.outcome == evaluate(result.best.thresholds, on: table))
            #expect(result.descents.map(\.kind) == [.single, .never, .perExitRule, .random, .random, .random])
            for descent in result.descents {
                let start = BruteForce.rank(descent.start.thresholds, on: table, allowedGap: allowedGap)
                let end = BruteForce.rank(descent.end.thresholds, on: table, allowedGap: allowedGap)
                #expect(!(start < end) && !(start < best) && !(end < best))
                for exit in table.scores.indices {
                    let moves = BruteForce.singleMoves(of: table, from: descent.end.thresholds, exit: exit)
                    #expect(!(BruteForce.bestRank(moves, on: table, allowedGap: allowedGap) < end))
                }
            }
        }
    }

    @Test("against any reference it is admissible if any end is, and still no single threshold improves it")
    func resultAgainstAnyReference() {
        var generator = SplitMix64(seed: 37)
        var inadmissible = 0
        for table in RandomTables(seed: 38, count: 1200, maximumSamples: 14, anyReference: true) {
            let result = CoordinateSearch(table: table, allowedGap: 0.05).run(randomStarts: 3, using: &generator)
            let best = BruteForce.rank(result.best.thresholds, on: table, allowedGap: 0.05)
            let ends = result.descents.map { BruteForce.rank($0.end.thresholds, on: table, allowedGap: 0.05) }
            #expect(ends.allSatisfy { !($0 < best) })
            for exit in table.scores.indices {
                let moves = BruteForce.singleMoves(of: table, from: result.best.thresholds, exit: exit)
                #expect(!(BruteForce.bestRank(moves, on: table, allowedGap: 0.05) < best))
            }
            // The descents do not start out admissible here, so this is no matter of course.
            let frontier = SingleThresholdFrontier(table)
            let single = frontier.thresholds(of: frontier.best(allowedGap: 0.05))
            if BruteForce.rank(single, on: table, allowedGap: 0.05).violation == 0 {
                #expect(best.violation == 0)
                #expect(result.best.outcome.speedUp >= evaluate(single, on: table).speedUp)
            } else {
                inadmissible += 1
            }
        }
        #expect(inadmissible > 50, "tables without an admissible shared threshold come up: \(inadmissible)")
    }

    @Test("equal seeds give equal results")
    func deterministic() {
        for table in RandomTables(seed: 34, count: 50, maximumSamples: 40) {
            let search = CoordinateSearch(table: table, allowedGap: 0.05)
            var (first, second) = (SplitMix64(seed: 9), SplitMix64(seed: 9))
            #expect(search.run(randomStarts: 5, using: &first) == search.run(randomStarts: 5, using: &second))
        }
    }

    @Test("it beats one shared threshold where exits have scores of different scale")
    func beatsSingle() {
        // Exit 0 is right from 10 up, exit 1 from 0.1 up: no shared threshold serves both.
        let table = ScoreTable(
            scores: [[10, 11, 5, 6], [0.01, 0.02, 0.1, 0.2]],
            isCorrect: [[true, true, false, false], [false, false, true, true], [true, true, true, true]],
            costs: [1, 2, 4])
        let frontier = SingleThresholdFrontier(table)
        #expect(frontier.speedUp(of: frontier.best(allowedGap: 0)) == 1.6)
        var generator = SplitMix64(seed: 1)
        let result = CoordinateSearch(table: table, allowedGap: 0).run(randomStarts: 0, using: &generator)
        #expect(abs(result.best.outcome.speedUp - 4 / 1.5) < 1e-12)
        #expect(result.best.thresholds.values == [8, 0.01 - 1] || result.best.thresholds.values == [8, 0.06])
    }

    @Test("the gap is spent, and never overspent, on a table of realistic size")
    func realisticSize() {
        let table = SyntheticTable.make(samples: 4000, exits: 12, seed: 35)
        let frontier = SingleThresholdFrontier(table)
        for allowedGap in [0, 0.005, 0.02] {
            var generator = SplitMix64(seed: 36)
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let best = search.run(randomStarts: 4, using: &generator).best
            #expect(RiskConstraint(allowedGap: allowedGap).admits(best.outcome.counts))
            #expect(best.outcome.speedUp >= frontier.speedUp(of: frontier.best(allowedGap: allowedGap)))
            #expect(best.outcome.speedUp > 1.05)
        }
    }
}
