import ExitRules
import Statistics

/// Tables that look like a real network's: samples of different difficulty, exits that get better with depth, confident
/// when right.
enum SyntheticTable {
    static func make(samples: Int, exits: Int, seed: UInt64) -> ScoreTable {
        var generator = SplitMix64(seed: seed)
        var labels = Array(repeating: [Int32](), count: exits)
        var confidences = Array(repeating: [Float](), count: exits)
        for _ in 0..<samples {
            let difficulty = Double.random(in: -2...3, using: &generator)
            for exit in 0..<exits {
                let noise = Double.random(in: -1.5...1.5, using: &generator)
                let margin = 3 * Double(exit + 1) / Double(exits) - difficulty + noise
                labels[exit].append(margin > 0 ? 0 : 1)
                confidences[exit].append(Float(0.5 + 0.5 * min(1, abs(margin) / 4)))
            }
        }
        let outputs = ExitOutputs(
            truth: Array(repeating: 0, count: samples), labels: labels, confidences: confidences)
        let costs = (1...exits).map(Double.init)
        let weights = ExitWeights.accuracy.values(errors: outputs.errorCounts, sampleCount: samples, costs: costs)
        return ScoreTable(outputs: outputs, rule: BEEMRule(weights: weights), costs: costs)
    }
}
