import ExitHeads
import ExitRules
import LinearAlgebra

/// What a head says of rows of features, block by block.
public struct ExitForward: Sendable {
    /// The head, on features as they come.
    public var head: LinearHead
    /// What logits are divided by.
    public var temperature: Double
    /// What confidence measures.
    public var measure: ConfidenceMeasure

    /// Creates a forward pass.
    public init(head: LinearHead, temperature: Double = 1, measure: ConfidenceMeasure = .maxProbability) {
        self.head = head
        self.temperature = temperature
        self.measure = measure
    }

    /// The predictions for rows of features.
    ///
    /// Logits are Float32 products of the features as they come with the head as it is saved, so the result depends on
    /// the two files alone.
    ///
    /// - Returns: labels and confidences, [rows] each.
    /// - Complexity: O(rows * width * classes); reads the features once.
    /// - Reference: `LinearHead.logits`; labels agree except where two logits differ by less than 1e-5.
    public func predictions(
        for features: some FeatureRows, threads: Int = Parallel.availableThreads
    ) -> (labels: [Int32], confidences: [Float]) {
        precondition(features.width == head.width, "the head reads \(head.width) features")
        let classes = head.classCount
        let partition = RowPartition(rowCount: features.rowCount, width: features.width)
        let packed = PackedHeads(head)
        let chunks = Parallel.map(partition.chunkCount, threads: threads) {
            chunk -> (labels: [Int32], confidences: [Float]) in
            let scratch = BlockScratch(rows: partition.blockRows, width: features.width, columns: classes)
            var labels: [Int32] = []
            var confidences: [Float] = []
            partition.forEachBlock(ofChunk: chunk) { rows in
                features.copy(rows, into: scratch.features)
                packed.forward(scratch.features, rows: rows.count, logits: scratch.logits)
                for row in 0..<rows.count {
                    let prediction = Prediction(
                        logits: UnsafeBufferPointer(start: scratch.logits + row * classes, count: classes),
                        temperature: temperature, measure: measure)
                    labels.append(prediction.label)
                    confidences.append(prediction.confidence)
                }
            }
            return (labels, confidences)
        }
        return (chunks.flatMap(\.labels), chunks.flatMap(\.confidences))
    }
}
