import ExitHeads
import LinearAlgebra

extension HiddenHeadKernel {
    /// The mean cross-entropy of rows plus the penalty `l2/2 (sum W₁² + sum W₂²)`, in nats, and its gradient in the layout
    /// of the parameters.
    ///
    /// Products are in Float32 within a block; sums over blocks are in Double, in block order within a chunk and in
    /// chunk order over chunks, whatever the number of threads. Another partition may differ in rounding, but has the same
    /// dropout.
    ///
    /// - Parameters:
    ///   - features: the rows of one step.
    ///   - labels: [rows], in 0..<classes.
    ///   - standardization: what rows are standardised by first; nil for not at all.
    ///   - dropout: nil for none.
    ///   - partition: of the rows; by default what suits the width.
    /// - Complexity: O(rows * hidden * (width + classes)) time; each thread needs a ``HiddenScratch``, each chunk Double
    ///   numbers for all parameters.
    /// - Reference: `naiveHiddenHeadGradient`.
    func objective(
        on features: some FeatureRows, labels: [Int32], standardization: Standardization?, l2: Double,
        dropout: Dropout?, threads: Int, partition: RowPartition? = nil
    ) -> LinearHeadObjective.Value {
        let form = parameters.architecture
        precondition(features.rowCount == labels.count && !labels.isEmpty, "a label for each row")
        precondition(features.width == form.width, "the head reads \(form.width) features")
        let partition = partition ?? RowPartition(rowCount: labels.count, width: form.width)
        precondition(partition.rowCount == labels.count, "a partition of these rows")
        let chunks = Parallel.map(partition.chunkCount, threads: threads) { chunk -> (loss: Double, sum: [Double]) in
            var loss = 0.0
            var sum = [Double](repeating: 0, count: form.parameterCount)
            let scratch = HiddenScratch(rows: partition.blockRows, architecture: form)
            partition.forEachBlock(ofChunk: chunk) { rows in
                features.copy(rows, into: scratch.features)
                standardization?.apply(to: scratch.features, rows: rows.count)
                forward(
                    scratch.features, rows: rows.count, dropout: dropout, firstRow: rows.lowerBound, scratch: scratch)
                labels.withUnsafeBufferPointer {
                    loss += SoftmaxCrossEntropy.forwardBackward(
                        logits: scratch.logits, labels: $0.baseAddress! + rows.lowerBound, rows: rows.count,
                        classes: form.classCount, stride: form.classCount, offset: 0)
                }
                backward(
                    scratch.features, logitGradient: scratch.logits, rows: rows.count, scratch: scratch, into: &sum)
            }
            return (loss, sum)
        }
        var loss = 0.0
        var gradient = [Double](repeating: 0, count: form.parameterCount)
        for chunk in chunks {
            loss += chunk.loss
            for index in gradient.indices { gradient[index] += chunk.sum[index] }
        }
        let scale = 1 / Double(labels.count)
        for index in gradient.indices {
            gradient[index] = gradient[index] * scale + (form.isWeight(index) ? l2 * parameters.values[index] : 0)
        }
        return .init(value: loss * scale + l2 / 2 * parameters.squaredWeights, gradient: gradient)
    }
}
