import ExitRules
import Foundation
import Testing

@testable import Evaluation

@Suite("The evaluation of exits")
struct ExitEvaluationTests {
    /// Five samples, two exits. Right: exit 0 on samples 0, 1, 3; exit 1 on 0, 2, 3, 4.
    private let outputs = ExitOutputs(
        truth: [0, 1, 1, 0, 1], labels: [[0, 1, 0, 0, 0], [0, 0, 1, 0, 1]],
        confidences: [[0.5, 0.6, 0.7, 0.8, 0.9], [0.9, 0.9, 0.9, 0.9, 0.9]])

    @Test("counts errors and flips against the final layer")
    func counts() throws {
        let first = SplitEvaluation(outputs, exit: 0)
        #expect(first.n == 5)
        #expect(first.errors == 2)
        #expect(first.errorRate == 0.4)
        #expect(first.harmfulFlips == 2)
        #expect(first.helpfulFlips == 1)
        #expect(abs(first.meanConfidence! - 0.7) < 1e-7)
        let final = SplitEvaluation(outputs, exit: 1)
        #expect(final.errors == 1)
        #expect(final.harmfulFlips == 0 && final.helpfulFlips == 0)
    }

    @Test("has the exact interval that SciPy's binomtest(2, 5).proportion_ci() gives")
    func interval() {
        let interval = SplitEvaluation(outputs, exit: 0).interval
        #expect(abs(interval[0] - 0.05274495) < 1e-8)
        #expect(abs(interval[1] - 0.85336720) < 1e-8)
    }

    @Test("is written in the form that the design names, split by split")
    func json() throws {
        let evaluation = ExitEvaluation(names: ["layer 1", "layer 2"], outputs: ["tune": outputs])
        let data = try JSONEncoder().encode(evaluation)
        #expect(try JSONDecoder().decode(ExitEvaluation.self, from: data) == evaluation)
        let top = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let exits = try #require(top["exits"] as? [[String: Any]])
        let splits = try #require(exits[1]["splits"] as? [String: [String: Any]])
        #expect(exits[1]["name"] as? String == "layer 2")
        #expect(
            Set(try #require(splits["tune"]).keys) == [
                "n", "errors", "errorRate", "interval", "meanConfidence", "ece", "harmfulFlips", "helpfulFlips",
            ])
    }

    @Test("of pairs gives the gap on the same samples")
    func pairedCounts() {
        let counts = PairedCounts(
            isCorrect: [true, false, true, false], referenceIsCorrect: [true, true, false, true])
        #expect(counts == PairedCounts(samples: 4, harmfulFlips: 2, helpfulFlips: 1))
        #expect(counts.riskGap == 0.25)
        #expect(PairedCounts(samples: 0, harmfulFlips: 0, helpfulFlips: 0).riskGap == 0)
    }
}
