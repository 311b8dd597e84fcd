import Foundation
import Statistics
import Testing

@testable import Backprop

@Suite("The Float32 kernel of the cross-entropy")
struct SoftmaxCrossEntropyTests {
    @Test(
        "agrees with the plain reference for any number of rows and classes, and leaves other columns alone",
        arguments: [1, 2, 3, 6, 13, 63, 64, 65, 700], [1, 3, 7, 8, 9, 15, 16, 17, 130])
    func agreesWithNaive(classes: Int, rows: Int) {
        var generator = SplitMix64(seed: 2)
        let (stride, offset) = (classes + 3, 2)
        let logits = (0..<(rows * stride)).map { _ in Float.random(in: -20...20, using: &generator) }
        let labels = (0..<rows).map { _ in Int32.random(in: 0..<Int32(classes), using: &generator) }
        var found = logits
        let loss = SoftmaxCrossEntropy.forwardBackward(
            logits: &found, labels: labels, rows: rows, classes: classes, stride: stride, offset: offset)
        var expected = 0.0
        for row in 0..<rows {
            let start = row * stride + offset
            let naive = naiveWeightedCrossEntropy(
                logits: logits[start..<(start + classes)].map(Double.init), label: Int(labels[row]),
                classWeights: Array(repeating: 1, count: classes), smoothing: 0)
            expected += naive.loss
            for index in 0..<classes {
                // A probability errs by the ulps of an exponential and of a sum of all of them.
                let tolerance = Double(8 + classes) * Double(Float.ulpOfOne)
                #expect(abs(Double(found[start + index]) - naive.gradient[index]) <= tolerance)
            }
        }
        #expect(abs(loss - expected) <= Double(8 + classes) * Double(Float.ulpOfOne) * max(expected, Double(rows)))
        for index in found.indices where !(offset..<(offset + classes)).contains(index % stride) {
            #expect(found[index] == logits[index])
        }
    }

    @Test("gives no number for logits that are not finite, in any row")
    func notFinite() {
        for (row, value) in [(0, Float.nan), (3, .infinity), (9, .nan)] {
            var logits = [Float](repeating: 0.5, count: 20)
            logits[2 * row] = value
            let loss = SoftmaxCrossEntropy.forwardBackward(
                logits: &logits, labels: Array(repeating: 1, count: 10), rows: 10, classes: 2, stride: 2, offset: 0)
            #expect(loss.isNaN)
        }
    }
}
