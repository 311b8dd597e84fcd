import ExitRules
import Foundation
import Testing

@Suite("The BEEM score")
struct BEEMRuleTests {
    /// Four exits: the first two agree, the third disagrees, the fourth agrees with the third. All numbers are exact.
    private func scores(memory: Double, restart: BEEMRule.Restart) -> [Double] {
        let rule = BEEMRule(weights: [1, 2, 4, 8], memory: memory, restart: restart)
        let labels: [Int32] = [1, 1, 0, 0]
        let confidences: [Float] = [0.5, 0.25, 0.75, 0.5]
        var previous: ScoredLabel?
        return (0..<4).map { exit in
            let prediction = Prediction(label: labels[exit], confidence: confidences[exit])
            let score = rule.score(of: prediction, at: exit, after: previous)
            previous = ScoredLabel(label: prediction.label, score: score)
            return score
        }
    }

    @Test("adds up while neighbours agree, and starts again from the exit at hand: the paper's rule")
    func currentRestart() {
        #expect(scores(memory: 1, restart: .current) == [0.5, 1, 3, 7])
    }

    @Test("or starts again from 0, as the authors' code does")
    func zeroRestart() {
        #expect(scores(memory: 1, restart: .zero) == [0.5, 1, 0, 4])
    }

    @Test("memory one half keeps half of the score before")
    func halfMemory() {
        #expect(scores(memory: 0.5, restart: .current) == [0.5, 0.75, 3, 5.5])
        #expect(scores(memory: 0.5, restart: .zero) == [0.5, 0.75, 0, 4])
    }

    @Test("memory 0 is accuracy-weighted confidence: the neighbours play no part, but for the restart at zero")
    func noMemory() {
        #expect(scores(memory: 0, restart: .current) == [0.5, 0.5, 3, 4])
        #expect(scores(memory: 0, restart: .zero) == [0.5, 0.5, 0, 4])
    }

    @Test("the default is memory 1 and the restart at the current exit")
    func defaults() {
        #expect(BEEMRule(weights: [1]) == BEEMRule(weights: [1], memory: 1, restart: .current))
    }

    @Test("every operation is rounded by itself: never a fused multiply-add")
    func noFusion() {
        var generator = TestGenerator(seed: 3)
        var fusedWouldDiffer = 0
        for _ in 0..<2000 {
            let memory = Double.random(in: 0...1, using: &generator)
            let weight = Double.random(in: 0...1, using: &generator)
            let before = Double.random(in: 0...5, using: &generator)
            let confidence = Float.random(in: 0...1, using: &generator)
            let rule = BEEMRule(weights: [weight, weight], memory: memory)
            let score = rule.score(
                of: Prediction(label: 2, confidence: confidence), at: 1, after: ScoredLabel(label: 2, score: before))
            let kept = memory * before
            let own = weight * Double(confidence)
            #expect(score == kept + own)
            if own.addingProduct(memory, before) != kept + own
                || kept.addingProduct(weight, Double(confidence)) != kept + own
            {
                fusedWouldDiffer += 1
            }
        }
        #expect(fusedWouldDiffer > 100, "otherwise the check above could not tell")
    }

    @Test("restarts have their names in files")
    func names() {
        #expect(BEEMRule.Restart(rawValue: "current") == .current && BEEMRule.Restart(rawValue: "zero") == .zero)
    }

    @Test("maximum probability looks at one exit alone")
    func maximumProbability() {
        let rule = ConfidenceRule()
        let prediction = Prediction(label: 1, confidence: 0.7)
        #expect(rule.score(of: prediction, at: 0, after: nil) == Double(Float(0.7)))
        #expect(rule.score(of: prediction, at: 3, after: ScoredLabel(label: 1, score: 9)) == Double(Float(0.7)))
    }
}
