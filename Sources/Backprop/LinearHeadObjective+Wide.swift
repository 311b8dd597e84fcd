import LinearAlgebra

/// A minibatch and thousands of outputs: a vocabulary.
///
/// One block of rows is one chunk, so rows alone give several threads nothing to divide, and partial sums of all parameters
/// would cost more than the products. Here outputs are divided instead: a part's weights are converted, multiplied, and
/// its gradient is written where it belongs, with no sums to combine. Losses are taken row by row in between.
extension LinearHeadObjective {
    /// From how many outputs on.
    static let wideOutputCount = 256
    /// How many outputs are worked on at once: their weights stay in a core's cache.
    private static let outputsOfPart = 128
    /// How many rows are: a multiple of what a softmax takes at once.
    private static let rowsOfPart = 32

    /// Whether ``evaluate(_:)`` goes this way, for one head.
    var isWide: Bool {
        outputCount >= Self.wideOutputCount
            && RowPartition(rowCount: features.rowCount, width: features.width).chunkCount == 1
    }

    /// Objective and gradient of a head on rows that are one block.
    ///
    /// - Complexity: O(rows * width * outputs).
    /// - Reference: `naiveLinearHeadGradient`.
    func evaluateWide(_ point: Point) -> Value {
        let (width, rows, outputs) = (features.width, features.rowCount, outputCount)
        let scratch = BlockScratch(rows: rows, width: width, columns: outputs, hasGradient: false)
        let block = UnsafeSendable(centredBlock(0..<rows, scratch))
        let logits = UnsafeSendable(scratch.logits)
        let values = point.parameters.values
        // Rows are centred; what else standardises them goes into the weights.
        let inverseDeviation = standardization.inverseDeviation
        let parts = stride(from: 0, to: outputs, by: Self.outputsOfPart).map { start in
            start..<min(start + Self.outputsOfPart, outputs)
        }
        Parallel.forEach(parts.count, threads: team.threads) { part in
            let outputs = parts[part]
            // [outputs, width], then [outputs]
            withUnsafeTemporaryAllocation(of: Float.self, capacity: outputs.count * (width + 1)) { scratch in
                let weights = scratch.baseAddress!
                let biases = weights + outputs.count * width
                for (place, output) in outputs.enumerated() {
                    let start = output * (width + 1)
                    for index in 0..<width {
                        weights[place * width + index] = Float(
                            values[start + index] * Double(inverseDeviation[index]))
                    }
                    biases[place] = Float(values[start + width])
                }
                for row in 0..<rows {
                    (logits.value + row * self.outputCount + outputs.lowerBound).update(
                        from: biases, count: outputs.count)
                }
                BLAS.multiplyTransposed(
                    block.value, weights, into: logits.value + outputs.lowerBound, rows: rows, columns: outputs.count,
                    inner: width, beta: 1, outputStride: self.outputCount)
            }
        }
        let rowParts = stride(from: 0, to: rows, by: Self.rowsOfPart).map { $0..<min($0 + Self.rowsOfPart, rows) }
        let losses = Parallel.map(rowParts.count, threads: team.threads) { part in
            lossAndGradient(
                logits.value + rowParts[part].lowerBound * outputs, rows: rowParts[part], stride: outputs, offset: 0)
        }
        var loss = LossSum()
        for part in losses { loss += part }
        let scale = loss.inverseWeight
        var gradient = [Double](unsafeUninitializedCapacity: outputs * (width + 1)) { buffer, count in
            let target = UnsafeSendable(buffer.baseAddress!)
            Parallel.forEach(parts.count, threads: team.threads) { part in
                self.writeGradient(
                    of: parts[part], block: block.value, logits: logits.value, scale: scale, point: point,
                    into: target.value)
            }
            count = outputs * (width + 1)
        }
        withExtendedLifetime(scratch) {}
        if self.loss.ignoresCommonShift { removeCommonBias(from: &gradient) }
        return Value(value: loss.mean + point.penalty, gradient: gradient)
    }

    /// The gradient of some outputs, in the layout of ``LinearParameters``.
    private func writeGradient(
        of outputs: Range<Int>, block: UnsafePointer<Float>, logits: UnsafeMutablePointer<Float>, scale: Double,
        point: Point, into target: UnsafeMutablePointer<Double>
    ) {
        let (width, rows) = (features.width, features.rowCount)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: outputs.count * width) { sums in
            let sums = sums.baseAddress!
            BLAS.transposedMultiply(
                logits + outputs.lowerBound, block, into: sums, rows: outputs.count, columns: width, inner: rows,
                inputStride: outputCount)
            for (place, output) in outputs.enumerated() {
                let start = output * (width + 1)
                for index in 0..<width {
                    target[start + index] =
                        Double(sums[place * width + index]) * scale
                        * Double(standardization.inverseDeviation[index])
                        + point.l2 * point.parameters.values[start + index]
                }
            }
        }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: outputs.count) { biases in
            biases.update(repeating: 0)
            for row in 0..<rows {
                let own = logits + row * outputCount + outputs.lowerBound
                for place in 0..<outputs.count { biases[place] += Double(own[place]) }
            }
            for (place, output) in outputs.enumerated() { target[output * (width + 1) + width] = biases[place] * scale }
        }
    }
}

/// A pointer to parts of memory that tasks do not share.
private struct UnsafeSendable<Pointer>: @unchecked Sendable {
    let value: Pointer

    init(_ value: Pointer) { self.value = value }
}
