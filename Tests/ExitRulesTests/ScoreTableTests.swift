import ExitRules
import Testing

@Suite("The table of scores")
struct ScoreTableTests {
    static let rules: [any ExitRule] = [
        BEEMRule(weights: [0.5, 0.7, 0.8, 0.9, 1]), BEEMRule(weights: [0.5, 0.7, 0.8, 0.9, 1], restart: .zero),
        BEEMRule(weights: [0.5, 0.7, 0.8, 0.9, 1], memory: 0.3), ConfidenceRule(),
    ]

    private func table(_ outputs: ExitOutputs, _ rule: some ExitRule) -> ScoreTable {
        ScoreTable(outputs: outputs, rule: rule, costs: (1...outputs.exitCount).map(Double.init))
    }

    @Test("holds the scores of each exit but the last, and whether each exit is right")
    func byHand() {
        let outputs = ExitOutputs(
            truth: [0, 1], labels: [[0, 0], [0, 1], [1, 1]], confidences: [[0.5, 0.75], [0.25, 0.5], [1, 1]])
        let table = table(outputs, BEEMRule(weights: [1, 2, 3]))
        // Sample 0: the exits agree, 0.5 + 2 * 0.25; sample 1: they do not, 2 * 0.5.
        #expect(table.scores == [[0.5, 0.75], [1, 1]])
        #expect(table.isCorrect == [[true, false], [true, true], [false, true]])
        #expect(table.costs == [1, 2, 3] && table.exitCount == 3 && table.sampleCount == 2)
    }

    @Test("exitsTaken agrees with a loop over the definition on random outputs and thresholds", arguments: 0..<4)
    func naiveLoop(ruleIndex: Int) {
        var generator = TestGenerator(seed: UInt64(ruleIndex + 1))
        for _ in 0..<500 {
            let outputs = generator.outputs(
                exits: Int.random(in: 1...5, using: &generator), samples: Int.random(in: 0...12, using: &generator))
            let table = table(outputs, Self.rules[ruleIndex])
            let thresholds = Thresholds(
                (1..<outputs.exitCount).map { _ in
                    // Exact fractions, so that scores meet thresholds often; sometimes never.
                    let step = Int.random(in: -1...8, using: &generator)
                    return step < 0 ? nil : Double(step) / 4
                })
            var expected: [Int] = []
            for sample in 0..<outputs.sampleCount {
                var exit = 0
                while exit < outputs.exitCount - 1 {
                    if let value = thresholds.values[exit], table.scores[exit][sample] >= value { break }
                    exit += 1
                }
                expected.append(exit)
            }
            #expect(table.exitsTaken(thresholds) == expected)
        }
    }

    @Test(
        "scores do not depend on thresholds: exit by exit, as a server computes them, they are the table's, bit for bit"
    )
    func scoresExitByExit() {
        var generator = TestGenerator(seed: 12)
        for rule in Self.rules {
            for _ in 0..<200 {
                let outputs = generator.outputs(exits: 5, samples: 6)
                let table = table(outputs, rule)
                let thresholds = Thresholds((0..<4).map { _ in Double.random(in: 0...3, using: &generator) })
                let taken = table.exitsTaken(thresholds)
                for sample in 0..<outputs.sampleCount {
                    // A server stops at the exit taken and has scored nothing beyond.
                    var previous: ScoredLabel?
                    for exit in 0...min(taken[sample], 3) {
                        let prediction = outputs.prediction(exit: exit, sample: sample)
                        let score = rule.score(of: prediction, at: exit, after: previous)
                        #expect(score.bitPattern == table.scores[exit][sample].bitPattern)
                        #expect(thresholds.releases(score: score, at: exit) == (exit == taken[sample]))
                        previous = ScoredLabel(label: prediction.label, score: score)
                    }
                }
            }
        }
    }

    @Test("a sample's scores do not depend on the other samples")
    func selection() {
        var generator = TestGenerator(seed: 13)
        let outputs = generator.outputs(exits: 4, samples: 30)
        let chosen = [29, 3, 3, 17]
        let whole = table(outputs, Self.rules[0])
        let part = table(outputs.selecting(chosen), Self.rules[0])
        for (exit, row) in part.scores.enumerated() { #expect(row == chosen.map { whole.scores[exit][$0] }) }
        for (exit, row) in part.isCorrect.enumerated() { #expect(row == chosen.map { whole.isCorrect[exit][$0] }) }
    }

    @Test("rows can be chosen, in any order and more than once, from the table as from the outputs it was made of")
    func selectingRows() {
        var generator = TestGenerator(seed: 14)
        for _ in 0..<100 {
            let outputs = generator.outputs(exits: 4, samples: 20)
            let chosen = (0..<Int.random(in: 0...25, using: &generator)).map { _ in
                Int.random(in: 0..<20, using: &generator)
            }
            let reference = Int.random(in: 0..<4, using: &generator)
            func table(_ outputs: ExitOutputs) -> ScoreTable {
                ScoreTable(outputs: outputs, rule: Self.rules[0], costs: [1, 2, 3, 4], reference: reference)
            }
            #expect(table(outputs).selecting(chosen) == table(outputs.selecting(chosen)))
        }
    }

    @Test("any exit can be the reference; against its labels it is always right, so that no flip is helpful")
    func referenceAndLoss() {
        var generator = TestGenerator(seed: 15)
        for _ in 0..<200 {
            let outputs = generator.outputs(exits: 4, samples: 15)
            for reference in 0..<4 {
                func table(_ loss: PolicyLoss) -> ScoreTable {
                    ScoreTable(
                        outputs: outputs, rule: Self.rules[0], costs: [1, 2, 3, 4], reference: reference, loss: loss)
                }
                let (error, disagreement) = (table(.error), table(.disagreement))
                #expect(error.scores == disagreement.scores)
                for exit in 0..<4 {
                    for sample in 0..<15 {
                        let label = outputs.labels[exit][sample]
                        #expect(error.isCorrect[exit][sample] == (label == outputs.truth[sample]))
                        #expect(
                            disagreement.isCorrect[exit][sample] == (label == outputs.labels[reference][sample]))
                    }
                }
                #expect(error.referenceIsCorrect == error.isCorrect[reference])
                #expect(disagreement.referenceIsCorrect == Array(repeating: true, count: 15))
            }
            let usual = ScoreTable(outputs: outputs, rule: Self.rules[0], costs: [1, 2, 3, 4])
            #expect(usual.referenceIsCorrect == usual.isCorrect[3])
        }
    }

    @Test("outputs count the errors of every exit")
    func errorCounts() {
        let outputs = ExitOutputs(
            truth: [0, 1, 2], labels: [[0, 0, 0], [0, 1, 0], [0, 1, 2]],
            confidences: Array(repeating: [1, 1, 1], count: 3))
        #expect(outputs.errorCounts == [2, 1, 0])
        #expect(outputs.prediction(exit: 1, sample: 1) == Prediction(label: 1, confidence: 1))
    }

    @Test("a flip is harmful where only the reference is right, helpful where only the exit is")
    func flips() {
        let table = ScoreTable(
            scores: [[0, 0, 0, 0]], isCorrect: [[true, false, true, false], [true, true, false, false]], costs: [1, 2])
        #expect(table.flips(exit: 0) == [0, 1, -1, 0] && table.flips(exit: 1) == [0, 0, 0, 0])
        #expect((0..<4).map { table.flip(exit: 0, sample: $0) } == table.flips(exit: 0))
    }
}
