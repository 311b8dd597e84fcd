import ExitHeads
import ExitRules
import LinearAlgebra

/// What a head says of rows of features, block by block.
public struct ExitForward: Sendable {
    /// The head, on features as they come.
    public var head: ExitHead
    /// What logits are divided by.
    public var temperature: Double
    /// What confidence measures.
    public var measure: ConfidenceMeasure

    /// Creates a forward pass.
    public init(head: ExitHead, temperature: Double = 1, measure: ConfidenceMeasure = .maxProbability) {
        self.head = head
        self.temperature = temperature
        self.measure = measure
    }

    /// The predictions for rows of features.
    ///
    /// - Returns: labels and confidences, [rows] each.
    /// - Complexity: O(rows * parameters); reads the features once.
    /// - Reference: `ExitHead.logits`; labels agree except where two logits differ by less than 1e-5.
    public func predictions(
        for features: some FeatureRows, threads: Int = Parallel.availableThreads
    ) -> (labels: [Int32], confidences: [Float]) {
        let classes = head.classCount
        let chunks = mapBlocks(of: features, threads: threads) { rows, logits in
            (0..<rows.count).map { row in
                Prediction(
                    logits: UnsafeBufferPointer(start: logits + row * classes, count: classes),
                    temperature: temperature, measure: measure)
            }
        }
        return (chunks.flatMap { $0.map(\.label) }, chunks.flatMap { $0.map(\.confidence) })
    }

    /// The logits for rows of features.
    ///
    /// - Returns: [rows, classes]
    /// - Complexity: O(rows * parameters); reads the features once.
    /// - Reference: `ExitHead.logits`.
    public func logits(of features: some FeatureRows, threads: Int = Parallel.availableThreads) -> [Float] {
        let classes = head.classCount
        return mapBlocks(of: features, threads: threads) { rows, logits in
            Array(UnsafeBufferPointer(start: logits, count: rows.count * classes))
        }.flatMap { $0 }
    }

    /// The results of `body` for the logits [rows.count, classes] of each block, in order of the rows.
    ///
    /// Logits are Float32 products of the features as they come with the head as it is saved, so they depend on the two
    /// files alone, and not on the number of threads.
    func mapBlocks<Result: Sendable>(
        of features: some FeatureRows, threads: Int,
        _ body: @Sendable (_ rows: Range<Int>, _ logits: UnsafePointer<Float>) -> Result
    ) -> [Result] {
        precondition(features.width == head.width, "the head reads \(head.width) features")
        let partition = RowPartition(rowCount: features.rowCount, width: features.width)
        switch head {
        case .linear(let head):
            let packed = PackedHeads(head)
            return Parallel.map(partition.chunkCount, threads: threads) { chunk in
                var results: [Result] = []
                let scratch = BlockScratch(rows: partition.blockRows, width: features.width, columns: head.classCount)
                partition.forEachBlock(ofChunk: chunk) { rows in
                    features.copy(rows, into: scratch.features)
                    packed.forward(scratch.features, rows: rows.count, logits: scratch.logits)
                    results.append(body(rows, scratch.logits))
                }
                return results
            }.flatMap { $0 }
        case .hidden(let head):
            let kernel = HiddenHeadKernel(HiddenParameters(head))
            return Parallel.map(partition.chunkCount, threads: threads) { chunk in
                var results: [Result] = []
                let scratch = HiddenScratch(rows: partition.blockRows, architecture: kernel.parameters.architecture)
                partition.forEachBlock(ofChunk: chunk) { rows in
                    features.copy(rows, into: scratch.features)
                    kernel.forward(scratch.features, rows: rows.count, scratch: scratch)
                    results.append(body(rows, scratch.logits))
                }
                return results
            }.flatMap { $0 }
        }
    }
}
