import ExitRules
import Testing

@testable import ThresholdOptimizer

@Suite("The paper's per-exit rule")
struct PerExitRuleTests {
    /// 60 % of 1000 samples are easy: exit 0 errs on 7.5 % of them, the final layer on 2 %. Of the rest the final layer
    /// errs on 17 %, exit 0 on half.
    static let counterexample: ScoreTable = {
        let early = (0..<1000).map { $0 < 600 ? $0 >= 45 : $0 % 2 == 0 }
        let final = (0..<1000).map { $0 < 600 ? $0 < 588 : $0 < 932 }
        let scores = (0..<1000).map { $0 < 600 ? 0.9 : 0.4 }
        return ScoreTable(scores: [scores], isCorrect: [early, final], costs: [1, 2])
    }()

    @Test("is not sufficient: it holds at 7.5 % against 8 % while the total error is 11.3 %")
    func counterexample() {
        let table = Self.counterexample
        let thresholds = PerExitRule.thresholds(on: table)
        let outcome = evaluate(thresholds, on: table)
        #expect(outcome.released == [600, 400])
        #expect(Double(outcome.wrong[0]) / Double(outcome.released[0]) == 0.075)
        #expect(Double(outcome.referenceErrors) / 1000 == 0.08)
        #expect(PerExitRule.holds(for: thresholds, on: table))
        #expect(outcome.errorRate == 0.113)
        #expect(abs(outcome.counts.riskGap - 0.033) < 1e-15)
        #expect(!RiskConstraint(allowedGap: 0).admits(outcome.counts))
    }

    @Test("takes, exit after exit, the smallest threshold that obeys it: 3000 random tables by brute force")
    func definition() {
        for table in RandomTables(seed: 40, count: 3000, maximumSamples: 12) {
            let final = table.isCorrect[table.exitCount - 1]
            let finalErrors = final.count { !$0 }
            var waiting = Array(0..<table.sampleCount)
            var expected = Array(repeating: table.exitCount - 1, count: table.sampleCount)
            for exit in table.scores.indices {
                let obeying = Set(table.scores[exit]).filter { threshold in
                    let leaving = waiting.filter { table.scores[exit][$0] >= threshold }
                    let wrong = leaving.count { !table.isCorrect[exit][$0] }
                    return !leaving.isEmpty && wrong * table.sampleCount <= finalErrors * leaving.count
                }
                guard let threshold = obeying.min() else { continue }
                for sample in waiting where table.scores[exit][sample] >= threshold { expected[sample] = exit }
                waiting.removeAll { table.scores[exit][$0] >= threshold }
            }
            let thresholds = PerExitRule.thresholds(on: table)
            #expect(table.exitsTaken(thresholds) == expected)
            #expect(PerExitRule.holds(for: thresholds, on: table))
        }
    }

    @Test("a first exit that is always right releases everyone; one that is always wrong, no one")
    func oneClassExits() {
        let final = [true, false, true, true]
        for early in [true, false] {
            let table = ScoreTable(
                scores: [[0.1, 0.2, 0.3, 0.3]], isCorrect: [Array(repeating: early, count: 4), final], costs: [1, 2])
            let thresholds = PerExitRule.thresholds(on: table)
            #expect(thresholds.values == [early ? 0.1 - 1 : nil])
        }
    }
}
