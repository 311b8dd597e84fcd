import ExitHeads
import LinearAlgebra

extension HiddenHeadKernel {
    /// The mean loss of rows plus the penalty `l2/2 (sum W₁² + sum W₂²)`, and its gradient in the layout of the parameters.
    ///
    /// Products are in Float32 within a block; sums over blocks are in Double, in block order within a chunk and in
    /// chunk order over chunks, whatever the number of threads. Another partition may differ in rounding, but has the same
    /// dropout.
    ///
    /// - Parameters:
    ///   - features: the rows of one step.
    ///   - targets: what the loss reads of each row.
    ///   - loss: of each row.
    ///   - standardization: what rows are standardised by first; nil for not at all.
    ///   - dropout: nil for none.
    ///   - partition: of the rows; by default what suits the width.
    /// - Complexity: O(rows * hidden * (width + classes)) time; each thread needs a ``HiddenScratch``, each chunk Double
    ///   numbers for all parameters.
    /// - Reference: `naiveHiddenHeadGradient`, and for other losses than cross-entropy their own references.
    func objective(
        on features: some FeatureRows, targets: HeadTargets, loss: any HeadLoss, standardization: Standardization?,
        l2: Double,
        dropout: Dropout?, threads: Int, partition: RowPartition? = nil
    ) -> LinearHeadObjective.Value {
        let form = parameters.architecture
        let rowCount = features.rowCount
        precondition(rowCount > 0 && features.width == form.width, "the head reads \(form.width) features")
        let partition = partition ?? RowPartition(rowCount: rowCount, width: form.width)
        precondition(partition.rowCount == rowCount, "a partition of these rows")
        let chunks = Parallel.map(partition.chunkCount, threads: threads) { chunk -> (loss: LossSum, sum: [Double]) in
            var total = LossSum()
            var sum = [Double](repeating: 0, count: form.parameterCount)
            let scratch = HiddenScratch(rows: min(partition.blockRows, rowCount), architecture: form)
            partition.forEachBlock(ofChunk: chunk) { rows in
                features.copy(rows, into: scratch.features)
                standardization?.apply(to: scratch.features, rows: rows.count)
                forward(
                    scratch.features, rows: rows.count, dropout: dropout, firstRow: rows.lowerBound, scratch: scratch)
                total += loss.evaluate(
                    logits: scratch.logits, targets: targets, rows: rows, classes: form.classCount,
                    gradient: scratch.logits)
                backward(
                    scratch.features, logitGradient: scratch.logits, rows: rows.count, scratch: scratch, into: &sum)
            }
            return (total, sum)
        }
        var total = LossSum()
        var gradient = [Double](repeating: 0, count: form.parameterCount)
        for chunk in chunks {
            total += chunk.loss
            for index in gradient.indices { gradient[index] += chunk.sum[index] }
        }
        let scale = total.inverseWeight
        for index in gradient.indices {
            gradient[index] = gradient[index] * scale + (form.isWeight(index) ? l2 * parameters.values[index] : 0)
        }
        return .init(value: total.mean + l2 / 2 * parameters.squaredWeights, gradient: gradient)
    }
}
