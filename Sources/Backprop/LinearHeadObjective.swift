import ExitHeads
import LinearAlgebra

/// The training objective of linear heads on the features of one exit:
/// mean cross-entropy in nats + (l2 / 2) x the sum of squared weights of standardised inputs.
///
/// A block of rows is read, widened to Float32 and standardised once, and stays in the core's cache for the forward and
/// the backward product of all heads that are evaluated.
struct LinearHeadObjective: Sendable {
    let features: any FeatureRows
    /// [rows], in 0..<classCount.
    let labels: [Int32]
    let classCount: Int
    let standardization: Standardization
    let threads: Int
    private let kept: StandardizedRows?

    /// - Parameter memoryBudget: the most bytes that may be spent on keeping the standardised rows; when they do not fit,
    ///   they are read and standardised anew in every pass. The values are the same.
    init(
        features: any FeatureRows, labels: [Int32], classCount: Int, standardization: Standardization, threads: Int,
        memoryBudget: Int = 0
    ) {
        self.features = features
        self.labels = labels
        self.classCount = classCount
        self.standardization = standardization
        self.threads = threads
        let size = features.rowCount * features.width * MemoryLayout<Float>.stride
        kept = size <= memoryBudget ? StandardizedRows(features, standardization, threads: threads) : nil
    }

    /// Standardised rows [rows.count, width]: those kept, or a block that is read into `scratch`.
    func block(_ rows: Range<Int>, _ scratch: BlockScratch) -> UnsafePointer<Float> {
        if let kept { return UnsafePointer(kept.values + rows.lowerBound * features.width) }
        features.copy(rows, into: scratch.features)
        standardization.apply(to: scratch.features, rows: rows.count)
        return UnsafePointer(scratch.features)
    }

    /// A head to evaluate.
    struct Point {
        var parameters: LinearParameters
        var l2: Double
    }

    /// The objective at a point and its gradient, in the layout of the parameters.
    struct Value {
        var value: Double
        var gradient: [Double]
    }

    /// Objective and gradient of each head.
    ///
    /// Products are in Float32 within a block; sums over blocks are in Double, in block order within a chunk and in
    /// chunk order over chunks, whatever the number of threads.
    ///
    /// - Complexity: O(rows * width * classes * heads); reads the features once.
    /// - Reference: `naiveLinearHeadGradient`.
    func evaluate(_ points: [Point]) -> [Value] {
        precondition(features.rowCount == labels.count && !labels.isEmpty, "a label for each row")
        let width = features.width
        let columns = classCount * points.count
        let packed = PackedHeads(points.map(\.parameters))
        let partition = RowPartition(rowCount: labels.count, width: width)
        let size = columns * (width + 1)

        let chunks = Parallel.map(partition.chunkCount, threads: threads) {
            chunk -> (losses: [Double], sum: [Double]) in
            var losses = [Double](repeating: 0, count: points.count)
            var sum = [Double](repeating: 0, count: size)
            let scratch = BlockScratch(rows: partition.blockRows, width: width, columns: columns)
            partition.forEachBlock(ofChunk: chunk) { rows in
                let block = block(rows, scratch)
                packed.forward(block, rows: rows.count, logits: scratch.logits)
                labels.withUnsafeBufferPointer { labels in
                    for index in points.indices {
                        losses[index] += SoftmaxCrossEntropy.forwardBackward(
                            logits: scratch.logits, labels: labels.baseAddress! + rows.lowerBound, rows: rows.count,
                            classes: classCount, stride: columns, offset: index * classCount)
                    }
                }
                BLAS.transposedMultiply(
                    scratch.logits, block, into: scratch.gradient, rows: columns, columns: width,
                    inner: rows.count)
                sum.withUnsafeMutableBufferPointer { sum in
                    for column in 0..<columns {
                        let target = sum.baseAddress! + column * (width + 1)
                        let source = scratch.gradient + column * width
                        for index in 0..<width { target[index] += Double(source[index]) }
                        for row in 0..<rows.count { target[width] += Double(scratch.logits[row * columns + column]) }
                    }
                }
            }
            return (losses, sum)
        }
        return combine(chunks, points: points)
    }

    /// Mean over the rows, plus the penalty.
    private func combine(_ chunks: [(losses: [Double], sum: [Double])], points: [Point]) -> [Value] {
        let width = features.width
        let size = classCount * (width + 1)
        let scale = 1 / Double(labels.count)
        return points.indices.map { index in
            let point = points[index]
            var loss = 0.0
            var gradient = [Double](repeating: 0, count: size)
            for chunk in chunks {
                loss += chunk.losses[index]
                for offset in 0..<size { gradient[offset] += chunk.sum[index * size + offset] }
            }
            for offset in 0..<size {
                let isBias = offset % (width + 1) == width
                gradient[offset] = gradient[offset] * scale + (isBias ? 0 : point.l2 * point.parameters.values[offset])
            }
            removeCommonBias(from: &gradient)
            return Value(value: loss * scale + point.l2 / 2 * point.parameters.squaredWeights, gradient: gradient)
        }
    }

    /// Residuals of the classes sum to zero, so biases never move together; what rounding leaves of such a move would
    /// add up over many steps, since neither loss nor penalty holds it back.
    private func removeCommonBias(from gradient: inout [Double]) {
        let biases = stride(from: features.width, to: gradient.count, by: features.width + 1)
        let common = biases.reduce(0) { $0 + gradient[$1] } / Double(classCount)
        for index in biases { gradient[index] -= common }
    }

    /// The mean cross-entropy of each head in nats, without penalty.
    ///
    /// - Complexity: O(rows * width * classes * heads); reads the features once.
    func crossEntropy(_ parameters: [LinearParameters]) -> [Double] {
        precondition(features.rowCount == labels.count && !labels.isEmpty, "a label for each row")
        let columns = classCount * parameters.count
        let packed = PackedHeads(parameters)
        let partition = RowPartition(rowCount: labels.count, width: features.width)
        let chunks = Parallel.map(partition.chunkCount, threads: threads) { chunk in
            var losses = [Double](repeating: 0, count: parameters.count)
            let scratch = BlockScratch(rows: partition.blockRows, width: features.width, columns: columns)
            partition.forEachBlock(ofChunk: chunk) { rows in
                let block = block(rows, scratch)
                packed.forward(block, rows: rows.count, logits: scratch.logits)
                labels.withUnsafeBufferPointer { labels in
                    for index in parameters.indices {
                        losses[index] += SoftmaxCrossEntropy.forward(
                            logits: scratch.logits, labels: labels.baseAddress! + rows.lowerBound, rows: rows.count,
                            classes: classCount, stride: columns, offset: index * classCount)
                    }
                }
            }
            return losses
        }
        return parameters.indices.map { index in
            chunks.reduce(0) { $0 + $1[index] } / Double(labels.count)
        }
    }
}

/// Rows that have been standardised once and stay in memory.
private final class StandardizedRows: @unchecked Sendable {
    // Safe to share: written in `init` only.
    let values: UnsafeMutablePointer<Float>

    init(_ features: any FeatureRows, _ standardization: Standardization, threads: Int) {
        let width = features.width
        values = .allocate(capacity: max(1, features.rowCount * width))
        let partition = RowPartition(rowCount: features.rowCount, width: width)
        // Chunks are parts that do not overlap.
        nonisolated(unsafe) let target = values
        Parallel.forEach(partition.chunkCount, threads: threads) { chunk in
            let rows = partition.rows(ofChunk: chunk)
            features.copy(rows, into: target + rows.lowerBound * width)
            standardization.apply(to: target + rows.lowerBound * width, rows: rows.count)
        }
    }

    deinit { values.deallocate() }
}

/// Several heads side by side as one Float32 matrix, so that one product serves them all.
struct PackedHeads: Sendable {
    /// [columns, width], columns = heads * classes.
    let weight: [Float]
    /// [columns]
    let bias: [Float]
    let width: Int

    init(_ heads: [LinearParameters]) {
        width = heads[0].width
        var weight: [Float] = []
        var bias: [Float] = []
        for head in heads {
            for row in 0..<head.classCount {
                let start = row * (head.width + 1)
                weight.append(contentsOf: head.values[start..<(start + head.width)].map { Float($0) })
                bias.append(Float(head.values[start + head.width]))
            }
        }
        self.weight = weight
        self.bias = bias
    }

    /// A single saved head.
    init(_ head: LinearHead) {
        weight = head.weight
        bias = head.bias
        width = head.width
    }

    /// `logits = features · weightᵀ + bias`.
    ///
    /// - Parameters:
    ///   - features: [rows, width]
    ///   - logits: [rows, columns]
    @inline(__always)
    func forward(_ features: UnsafePointer<Float>, rows: Int, logits: UnsafeMutablePointer<Float>) {
        let columns = bias.count
        bias.withUnsafeBufferPointer { bias in
            for row in 0..<rows { (logits + row * columns).update(from: bias.baseAddress!, count: columns) }
        }
        weight.withUnsafeBufferPointer {
            BLAS.multiplyTransposed(
                features, $0.baseAddress!, into: logits, rows: rows, columns: columns, inner: width, beta: 1)
        }
    }
}

/// The memory one thread needs for a block: the features, the logits, and the gradient before it is summed.
final class BlockScratch {
    /// [rows, width]
    let features: UnsafeMutablePointer<Float>
    /// [rows, columns]
    let logits: UnsafeMutablePointer<Float>
    /// [columns, width]
    let gradient: UnsafeMutablePointer<Float>

    init(rows: Int, width: Int, columns: Int) {
        features = .allocate(capacity: rows * width)
        logits = .allocate(capacity: rows * columns)
        gradient = .allocate(capacity: columns * width)
    }

    deinit {
        features.deallocate()
        logits.deallocate()
        gradient.deallocate()
    }
}
