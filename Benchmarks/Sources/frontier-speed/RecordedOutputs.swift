import ExitRules
import Foundation
import Statistics

/// Real outputs of a recipe's exits, as `frontier.py` writes them: the stock that larger tables are drawn from.
struct RecordedOutputs {
    /// [samples]: the true labels.
    let truth: [Int32]
    /// [exits][samples]: the label each exit gives.
    let labels: [[Int32]]
    /// [exits][samples]: the confidence each exit has.
    let confidences: [[Float]]

    /// Reads the number of exits and of samples, the truth, the labels and the confidences: 32-bit, little-endian.
    init(file: String) throws {
        let words = try Data(contentsOf: URL(fileURLWithPath: file)).withUnsafeBytes { bytes in
            bytes.bindMemory(to: Int32.self).map(Int32.init(littleEndian:))
        }
        precondition(words.count >= 2, "\(file) begins with two counts")
        let (exits, samples) = (Int(words[0]), Int(words[1]))
        precondition(words.count == 2 + samples * (1 + 2 * exits), "\(file) holds \(exits) exits x \(samples) samples")
        func row(_ index: Int) -> ArraySlice<Int32> { words[(2 + index * samples)..<(2 + (index + 1) * samples)] }
        truth = Array(row(0))
        labels = (0..<exits).map { Array(row(1 + $0)) }
        confidences = (0..<exits).map { exit in
            row(1 + exits + exit).map { Float(bitPattern: UInt32(bitPattern: $0)) }
        }
    }

    /// Draws samples with replacement and moves each confidence a little, so that hardly two are equal.
    ///
    /// The move is uniform within a tenth either way in the log-odds of the confidence, which leaves its distribution
    /// as it is and keeps it below 1.
    func resampled(count: Int, seed: UInt64) -> ExitOutputs {
        var generator = SplitMix64(seed: seed)
        let drawn = (0..<count).map { _ in Int.random(in: truth.indices, using: &generator) }
        let jittered = confidences.map { row in
            drawn.map { sample in
                let odds = exp(0.2 * (Double(generator.next() >> 11) * 0x1p-53 - 0.5))
                let confidence = Double(row[sample])
                return Float(confidence * odds / (confidence * odds + 1 - confidence))
            }
        }
        return ExitOutputs(
            truth: drawn.map { truth[$0] }, labels: labels.map { row in drawn.map { row[$0] } }, confidences: jittered)
    }

    /// The scores of drawn samples under the paper's rule, with weights from the recorded ones and a cost of 1 a layer.
    func table(count: Int, seed: UInt64, memory: Double = 1) -> ScoreTable {
        let costs = (1...labels.count).map(Double.init)
        let errors = labels.map { row in zip(row, truth).count { $0 != $1 } }
        let weights = ExitWeights.accuracy.values(errors: errors, sampleCount: truth.count, costs: costs)
        return ScoreTable(
            outputs: resampled(count: count, seed: seed), rule: BEEMRule(weights: weights, memory: memory), costs: costs
        )
    }
}
