import LinearAlgebra

/// Softmax cross-entropy of a block of rows, forward and backward in one go.
enum SoftmaxCrossEntropy {
    /// Replaces logits by the gradient of the summed loss with respect to them, `softmax(logits) - onehot(label)`.
    ///
    /// As many rows at a time as a vector has numbers, class by class; where there are many classes, row by row. Exponentials
    /// and sums are in Float32; the loss of a row, `ln sum + (top - own)`, is in Double. Logits that are not finite give a loss
    /// that is not a number.
    ///
    /// - Parameters:
    ///   - logits: [rows, stride], of which `classes` columns from `offset` on belong to this head; replaced.
    ///   - labels: [rows], in 0..<classes.
    /// - Returns: the sum of the losses, in nats.
    /// - Complexity: O(rows * classes).
    /// - Reference: `naiveWeightedCrossEntropy`.
    static func forwardBackward(
        logits: UnsafeMutablePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, classes: Int, stride: Int,
        offset: Int
    ) -> Double {
        kernels.cross_entropy(logits + offset, labels, rows, classes, stride)
    }

    /// The same for the logits of a head column by column, which the last class has none of: all others are relative to it.
    ///
    /// - Parameters:
    ///   - logits: [columns, stride], columns = classes - 1, of which `rows` numbers each are replaced.
    ///   - labels: [rows], in 0...columns.
    ///   - biases: [columns]: the gradient's sums over rows are added.
    /// - Returns: the sum of the losses, in nats.
    /// - Complexity: O(rows * columns).
    /// - Reference: `naiveWeightedCrossEntropy`.
    static func forwardBackwardColumns(
        logits: UnsafeMutablePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, columns: Int, stride: Int,
        biases: UnsafeMutablePointer<Double>
    ) -> Double {
        kernels.cross_entropy_columns(logits, labels, rows, columns, stride, biases)
    }
}
