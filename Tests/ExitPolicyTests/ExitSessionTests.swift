import ExitRules
import Testing

@testable import ExitPolicy

@Suite("A sample on its way through the exits")
struct ExitSessionTests {
    @Test("goes on until a score reaches its threshold")
    func stops() {
        var session = ExitSession(examplePolicy())
        #expect(session.observe(Prediction(label: 1, confidence: 0.75)) == .goOn)
        #expect(session.observe(Prediction(label: 1, confidence: 0.75)) == .goOn)
        // 0.75 * 0.75 + 0.5 * 0.75 + 0.875 * 0.75, all exact in binary.
        let decision = ExitDecision(exit: 2, label: 1, score: 1.59375, cost: 3)
        #expect(session.observe(Prediction(label: 1, confidence: 0.75)) == .stop(decision))
    }

    @Test("stops at a score equal to the threshold")
    func ties() {
        var policy = examplePolicy()
        policy.exits[0].threshold = 0.5625
        var session = ExitSession(policy)
        #expect(
            session.observe(Prediction(label: 0, confidence: 0.75))
                == .stop(ExitDecision(exit: 0, label: 0, score: 0.5625, cost: 1)))
    }

    @Test("starts a new sum where neighbours disagree")
    func restart() {
        var session = ExitSession(examplePolicy())
        #expect(session.observe(Prediction(label: 1, confidence: 0.75)) == .goOn)
        #expect(session.observe(Prediction(label: 0, confidence: 0.5)) == .goOn)
        let decision = ExitDecision(exit: 2, label: 0, score: 0.25 + 0.875 * 0.5, cost: 3)
        #expect(session.observe(Prediction(label: 0, confidence: 0.5)) == .stop(decision))
    }

    @Test("takes the same exits as the table that thresholds were searched on, sample by sample")
    func agreesWithScoreTable() {
        var policy = examplePolicy()
        policy.exits[0].threshold = 0.55
        policy.exits[1].threshold = 0.8
        // Every combination of labels and of confidences on a coarse grid.
        var outputs = ExitOutputs(truth: [], labels: [[], [], []], confidences: [[], [], []])
        for code in 0..<(6 * 6 * 6) {
            outputs.truth.append(0)
            for (exit, digit) in [code % 6, code / 6 % 6, code / 36].enumerated() {
                outputs.labels[exit].append(Int32(digit % 2))
                outputs.confidences![exit].append(0.5 + Float(digit / 2) * 0.25)
            }
        }
        let table = ScoreTable(
            outputs: outputs, rule: BEEMRule(weights: policy.exits.map(\.weight)), costs: policy.costs)
        let taken = table.exitsTaken(policy.thresholds)
        #expect(Set(taken) == [0, 1, 2])
        for sample in taken.indices {
            var session = ExitSession(policy)
            var exit = 0
            while case .goOn = session.observe(outputs.prediction(exit: exit, sample: sample)) { exit += 1 }
            #expect(exit == taken[sample])
        }
    }
}
