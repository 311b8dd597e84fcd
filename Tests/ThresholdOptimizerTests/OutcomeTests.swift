import Evaluation
import ExitRules
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("What thresholds do on a table")
struct OutcomeTests {
    @Test("counts, errors, cost, speed-up and shares of a case small enough to check by hand")
    func byHand() {
        let table = ScoreTable(
            scores: [[0.9, 0.2, 0.9, 0.1], [0.1, 0.8, 0.1, 0.3]],
            isCorrect: [[true, true, false, true], [true, false, true, true], [true, true, true, false]],
            costs: [1, 2, 4])
        // Samples 0 and 2 leave at exit 0, sample 1 at exit 1, sample 3 at the end.
        let outcome = evaluate(Thresholds([0.5, 0.5]), on: table)
        #expect(outcome.released == [2, 1, 1] && outcome.wrong == [1, 1, 1])
        #expect(outcome.counts == PairedCounts(samples: 4, harmfulFlips: 2, helpfulFlips: 0))
        #expect(outcome.errors == 3 && outcome.referenceErrors == 1 && outcome.errorRate == 0.75)
        #expect(outcome.costSum == 8 && outcome.meanCost == 2 && outcome.speedUp == 2)
        #expect(outcome.shares == [0.5, 0.25, 0.25])
        #expect(!PerExitRule.holds(for: Thresholds([0.5, 0.5]), on: table))

        let helpful = evaluate(Thresholds([nil, 0.2]), on: table)
        #expect(helpful.counts == PairedCounts(samples: 4, harmfulFlips: 1, helpfulFlips: 1))
        #expect(helpful.errors == 1 && helpful.referenceErrors == 1 && helpful.counts.riskGap == 0)
    }

    @Test("never leaving early is the final layer: no flips, speed-up 1")
    func never() {
        for table in RandomTables(seed: 20, count: 200) {
            let outcome = evaluate(.neverLeaveEarly(exitCount: table.exitCount), on: table)
            #expect(outcome.counts.harmfulFlips == 0 && outcome.counts.helpfulFlips == 0)
            #expect(outcome.errors == table.isCorrect[table.exitCount - 1].count { !$0 })
            #expect(abs(outcome.speedUp - 1) < 1e-14)
        }
    }

    @Test("agrees with a loop over the definition on random tables and thresholds", arguments: [false, true])
    func definition(anyReference: Bool) {
        let tables = RandomTables(seed: 21, count: 300, maximumSamples: 6, exits: 2...4, anyReference: anyReference)
        for table in tables {
            for thresholds in BruteForce.allPolicies(of: table) {
                var (harmful, helpful, errors, cost) = (0, 0, 0, 0.0)
                for sample in 0..<table.sampleCount {
                    var exit = 0
                    while exit < table.exitCount - 1 {
                        if let value = thresholds.values[exit], table.scores[exit][sample] >= value { break }
                        exit += 1
                    }
                    let (own, reference) = (table.isCorrect[exit][sample], table.referenceIsCorrect[sample])
                    if !own { errors += 1 }
                    if !own && reference { harmful += 1 }
                    if own && !reference { helpful += 1 }
                    cost += table.costs[exit]
                }
                let outcome = evaluate(thresholds, on: table)
                #expect(outcome.counts.harmfulFlips == harmful && outcome.counts.helpfulFlips == helpful)
                #expect(outcome.errors == errors && abs(outcome.costSum - cost) < 1e-12 * cost)
                #expect(outcome.released.reduce(0, +) == table.sampleCount)
                #expect(outcome.referenceErrors == table.referenceIsCorrect.count { !$0 })
            }
        }
    }

    @Test("a table without samples has gap 0 and speed-up 1")
    func empty() {
        let table = ScoreTable(scores: [[]], isCorrect: [[], []], costs: [1, 2])
        let outcome = evaluate(Thresholds([0.5]), on: table)
        #expect(outcome.speedUp == 1 && outcome.errorRate == 0 && outcome.counts.riskGap == 0)
        #expect(SingleThresholdFrontier(table).points.count == 1)
        var generator = SplitMix64(seed: 1)
        #expect(
            CoordinateSearch(table: table, allowedGap: 0).run(randomStarts: 2, using: &generator).best.outcome
                == outcome)
        #expect(PerExitRule.thresholds(on: table).values == [nil])
    }
}
