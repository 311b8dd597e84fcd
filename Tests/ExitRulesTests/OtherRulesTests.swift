import ExitRules
import Testing

@Suite("Patience and static")
struct OtherRulesTests {
    private func scores(_ rule: some ExitRule, labels: [Int32]) -> [Double] {
        var previous: ScoredLabel?
        return labels.enumerated().map { exit, label in
            let score = rule.score(of: Prediction(label: label, confidence: 0.3), at: exit, after: previous)
            previous = ScoredLabel(label: label, score: score)
            return score
        }
    }

    @Test("patience counts agreements in a row, and starts again at 0")
    func patience() {
        #expect(scores(PatienceRule(), labels: [1, 1, 1, 0, 0, 1]) == [0, 1, 2, 0, 1, 0])
    }

    @Test("patience is PABEE's counter: leave when t exits in a row have said what the one before said")
    func pabee() {
        var generator = TestGenerator(seed: 5)
        for _ in 0..<500 {
            let labels = (0..<8).map { _ in Int32.random(in: 0...1, using: &generator) }
            for patience in 1...4 {
                var (counter, expected) = (0, 7)
                for exit in 0..<7 {
                    counter = exit > 0 && labels[exit] == labels[exit - 1] ? counter + 1 : 0
                    if counter == patience {
                        expected = exit
                        break
                    }
                }
                let scores = scores(PatienceRule(), labels: labels)
                let taken = Thresholds.shared(Double(patience), exitCount: 8).exitTaken { scores[$0] }
                #expect(taken == expected)
            }
        }
    }

    @Test("static lets everyone leave at the exit that the threshold names", arguments: 0...3)
    func truncated(exit: Int) {
        let scores = scores(StaticRule(), labels: [0, 1, 1, 0, 0])
        #expect(Thresholds.shared(Double(exit), exitCount: 5).exitTaken { scores[$0] } == exit)
        #expect(Thresholds.shared(Double(exit) - 0.5, exitCount: 5).exitTaken { scores[$0] } == exit)
        #expect(Thresholds.shared(nil, exitCount: 5).exitTaken { scores[$0] } == 4)
    }

    @Test("the authors' code has weights 0.4 i, and a restart at zero: a score worked by hand")
    func authorsCode() {
        let weights = ExitWeights.authorsCode.values(errors: [0, 0, 0], sampleCount: 1, costs: [1, 2, 3])
        #expect(weights == [0, 0.4, 0.8])
        let rule = BEEMRule(weights: weights, restart: .zero)
        let half = { (label: Int32) in Prediction(label: label, confidence: 0.5) }
        #expect(rule.score(of: half(1), at: 0, after: nil) == 0)
        #expect(rule.score(of: half(1), at: 1, after: ScoredLabel(label: 1, score: 0)) == 0.2)
        #expect(rule.score(of: half(0), at: 2, after: ScoredLabel(label: 1, score: 0.2)) == 0)
    }
}
