import Foundation

/// Softmax cross-entropy of a block of rows, forward and backward in one go.
enum SoftmaxCrossEntropy {
    /// Replaces logits by the gradient of the summed loss with respect to them, `softmax(logits) - onehot(label)`.
    ///
    /// - Parameters:
    ///   - logits: [rows, stride], of which `classes` columns from `offset` on belong to this head; replaced.
    ///   - labels: [rows], in 0..<classes.
    /// - Returns: the sum of the losses, in nats.
    /// - Complexity: O(rows * classes).
    /// - Reference: `naiveLinearHeadGradient`.
    static func forwardBackward(
        logits: UnsafeMutablePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, classes: Int, stride: Int,
        offset: Int
    ) -> Double {
        var loss = 0.0
        for row in 0..<rows {
            let values = logits + row * stride + offset
            let label = Int(labels[row])
            var top = values[0]
            for index in 1..<max(classes, 1) { top = max(top, values[index]) }
            let own = values[label]
            var sum: Float = 0
            for index in 0..<classes {
                let exponential = exp(values[index] - top)
                values[index] = exponential
                sum += exponential
            }
            let scale = 1 / sum
            for index in 0..<classes { values[index] *= scale }
            values[label] -= 1
            loss += log(Double(sum)) + (Double(top) - Double(own))
        }
        return loss
    }

    /// The summed loss alone.
    ///
    /// - Parameters: as for ``forwardBackward(logits:labels:rows:classes:stride:offset:)``; logits are kept.
    static func forward(
        logits: UnsafePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, classes: Int, stride: Int, offset: Int
    ) -> Double {
        var loss = 0.0
        for row in 0..<rows {
            let values = logits + row * stride + offset
            var top = values[0]
            for index in 1..<max(classes, 1) { top = max(top, values[index]) }
            var sum: Float = 0
            for index in 0..<classes { sum += exp(values[index] - top) }
            loss += log(Double(sum)) + (Double(top) - Double(values[Int(labels[row])]))
        }
        return loss
    }
}
