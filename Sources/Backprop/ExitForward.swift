import ExitHeads
import ExitRules
import LinearAlgebra
import Ranks

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
    /// - Parameters:
    ///   - features: the rows.
    ///   - threads: how many may be used; the result does not depend on it.
    ///   - ranks: who shares the rows. Each rank reads its own part, and all of them get all predictions.
    /// - Returns: labels and confidences, [rows] each.
    /// - Complexity: O(rows * parameters); reads the features once.
    /// - Reference: `ExitHead.logits`; labels agree except where two logits differ by less than 1e-5.
    public func predictions(
        for features: some FeatureRows, threads: Int = Parallel.availableThreads,
        ranks: any Communicator = OneProcess()
    ) -> (labels: [Int32], confidences: [Float]) {
        let own = ownPredictions(for: features, threads: threads, ranks: ranks)
        return (ranks.gathered(own.labels), ranks.gathered(own.confidences))
    }

    /// The predictions for the rows of features that are this rank's: those of `Team.rows(of:)`.
    ///
    /// - Parameters:
    ///   - features: all rows.
    ///   - threads: how many may be used; the result does not depend on it.
    ///   - ranks: who shares the rows. Nothing is exchanged.
    /// - Returns: labels and confidences of those rows.
    /// - Complexity: O(own rows * parameters).
    public func ownPredictions(
        for features: some FeatureRows, threads: Int, ranks: any Communicator
    ) -> (labels: [Int32], confidences: [Float]) {
        let classes = head.classCount
        let chunks = mapBlocks(of: features, team: Team(threads: threads, ranks: ranks)) { rows, logits in
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
    /// - Parameters:
    ///   - features: the rows.
    ///   - threads: how many may be used; the result does not depend on it.
    ///   - ranks: who shares the rows; all of them get all logits.
    /// - Returns: [rows, classes]
    /// - Complexity: O(rows * parameters); reads the features once.
    /// - Reference: `ExitHead.logits`.
    public func logits(
        of features: some FeatureRows, threads: Int = Parallel.availableThreads,
        ranks: any Communicator = OneProcess()
    ) -> [Float] {
        let classes = head.classCount
        return ranks.gathered(
            mapBlocks(of: features, team: Team(threads: threads, ranks: ranks)) { rows, logits in
                Array(UnsafeBufferPointer(start: logits, count: rows.count * classes))
            }.flatMap { $0 })
    }

    /// The results of `body` for the logits [rows.count, classes] of each block of this rank's rows, in order.
    ///
    /// Logits are Float32 products of the features as they come with the head as it is saved, so they depend on the two
    /// files alone, and not on the number of threads.
    private func mapBlocks<Result: Sendable>(
        of features: some FeatureRows, team: Team,
        _ body: @Sendable (_ rows: Range<Int>, _ logits: UnsafePointer<Float>) -> Result
    ) -> [Result] {
        let partition = RowPartition(rowCount: features.rowCount, width: features.width)
        let chunks = team.ranks.part(of: partition.chunkCount)
        let forward = BlockForward(head, features: features, partition: partition)
        return Parallel.map(chunks.count, threads: team.threads) { index in
            var results: [Result] = []
            forward.forEachBlock(ofChunk: chunks.lowerBound + index) { results.append(body($0, $1)) }
            return results
        }.flatMap { $0 }
    }

    /// [chunks]: the sums of the numbers that `body` makes of the logits [rows.count, classes] of each block, on every
    /// rank.
    ///
    /// - Parameter body: makes as many numbers of every block.
    func foldBlocks(
        of features: some FeatureRows, team: Team,
        _ body: @Sendable (_ rows: Range<Int>, _ logits: UnsafePointer<Float>) -> [Double]
    ) -> [[Double]] {
        let partition = RowPartition(rowCount: features.rowCount, width: features.width)
        let forward = BlockForward(head, features: features, partition: partition)
        return team.map(partition.chunkCount) { chunk in
            var sums: [Double] = []
            forward.forEachBlock(ofChunk: chunk) { rows, logits in
                let own = body(rows, logits)
                sums = sums.isEmpty ? own : zip(sums, own).map(+)
            }
            return sums
        }
    }
}

/// A head and the rows it is shown.
private struct BlockForward<Rows: FeatureRows>: Sendable {
    private enum Kernel: Sendable {
        case linear(RowProduct)
        case hidden(HiddenHeadKernel)
    }

    private let kernel: Kernel
    private let features: Rows
    private let partition: RowPartition

    init(_ head: ExitHead, features: Rows, partition: RowPartition) {
        precondition(features.width == head.width, "the head reads \(head.width) features")
        self.features = features
        self.partition = partition
        kernel =
            switch head {
            case .linear(let head): .linear(RowProduct(head))
            case .hidden(let head): .hidden(HiddenHeadKernel(HiddenParameters(head)))
            }
    }

    /// Calls with the logits [rows.count, classes] of the blocks of a chunk, in order.
    func forEachBlock(ofChunk chunk: Int, _ body: (_ rows: Range<Int>, _ logits: UnsafePointer<Float>) -> Void) {
        switch kernel {
        case .linear(let product):
            let scratch = BlockScratch(
                rows: partition.blockRows, width: features.width, columns: product.columns, hasGradient: false)
            partition.forEachBlock(ofChunk: chunk) { rows in
                product.forEachTile(of: features, rows, scratch: scratch) { tileRows, tile in
                    product.forward(
                        tile, rows: tileRows.count,
                        logits: scratch.logits + (tileRows.lowerBound - rows.lowerBound) * product.columns)
                }
                body(rows, scratch.logits)
            }
        case .hidden(let kernel):
            let scratch = HiddenScratch(rows: partition.blockRows, architecture: kernel.parameters.architecture)
            partition.forEachBlock(ofChunk: chunk) { rows in
                features.copy(rows, into: scratch.features)
                kernel.forward(scratch.features, rows: rows.count, scratch: scratch)
                body(rows, scratch.logits)
            }
        }
    }
}
