import ExitHeads
import LinearAlgebra
import Ranks

/// The training objective of linear heads on the features of one exit:
/// the mean loss of the rows + (l2 / 2) x the sum of squared weights of standardised inputs.
///
/// Some rows at a time go forward and backward, for all heads that are evaluated, while they are in the core's cache
/// (``RowProduct``).
public struct LinearHeadObjective: Sendable {
    /// The features.
    public let features: any FeatureRows
    /// What heads should say of them.
    public let targets: HeadTargets
    /// What it costs to say something else. A plain ``CrossEntropyLoss`` goes through a Float32 kernel, other losses, and
    /// rows with weights, through ``HeadLoss`` in Double.
    public let loss: any HeadLoss
    /// How many outputs a head has: the number of classes, or 1 for a regression.
    public let outputCount: Int
    /// What rows are standardised by.
    public let standardization: Standardization
    /// Who shares a pass; values do not depend on how many they are.
    public let team: Team
    private let kept: CentredRows?
    private let isPlain: Bool
    /// Whether logits are relative to those of the last class, which then need not be computed.
    let isRelative: Bool
    /// Whether rows are multiplied as they come, and their mean is taken from the sums.
    private let foldsMean: Bool

    /// Describes an objective.
    ///
    /// - Parameters:
    ///   - features: the rows.
    ///   - targets: [rows]
    ///   - loss: what a row costs.
    ///   - outputCount: how many outputs a head has.
    ///   - standardization: of these features.
    ///   - threads: how many a pass may use; values do not depend on it.
    ///   - memoryBudget: the most bytes that may be spent on keeping rows in Float32, which helps where there are many
    ///     outputs; when they do not fit, they are read and converted anew in every pass. The values are the same.
    ///   - ranks: who shares the rows: each reads its own part, and all get the same values.
    public init(
        features: any FeatureRows, targets: HeadTargets, loss: any HeadLoss, outputCount: Int,
        standardization: Standardization, threads: Int, memoryBudget: Int = 0,
        ranks: any Communicator = OneProcess()
    ) {
        let rows = features.rowCount
        precondition(rows > 0 && outputCount > 0, "rows and outputs")
        precondition(features.width == standardization.width, "a mean and a deviation for each feature")
        precondition(
            [targets.labels.count, targets.values.count, targets.rowWeights.count].allSatisfy { $0 == 0 || $0 == rows }
                && (targets.teacherLogits.isEmpty || targets.teacherLogits.count == rows * outputCount),
            "targets for each row")
        isPlain = (loss as? CrossEntropyLoss)?.isPlain == true && targets.rowWeights.isEmpty
        isRelative = isPlain && outputCount > 1 && outputCount - 1 <= RowProduct.mostColumnsInPlace
        foldsMean = isRelative && standardization.hasSmallOffsets
        precondition(!isPlain || targets.labels.count == rows, "a label for each row")
        precondition(
            !isPlain || targets.labels.allSatisfy { $0 >= 0 && $0 < outputCount }, "labels are in 0..<\(outputCount)")
        self.features = features
        self.targets = targets
        self.loss = loss
        self.outputCount = outputCount
        self.standardization = standardization
        let team = Team(threads: threads, ranks: ranks)
        self.team = team
        let own = team.rows(of: RowPartition(rowCount: rows, width: features.width)).count
        let size = own * features.width * MemoryLayout<Float>.stride
        kept =
            !isRelative && outputCount > RowProduct.mostColumnsInPlace && size <= memoryBudget
            ? CentredRows(features, standardization, team: team) : nil
    }

    /// Centred rows [rows.count, width]: those kept, or a block that is read into `scratch`.
    func centredBlock(_ rows: Range<Int>, _ scratch: BlockScratch) -> UnsafePointer<Float> {
        if let block = kept?.block(rows) { return block }
        let target = scratch.features
        standardization.copyCentred(features, rows, into: target)
        return UnsafePointer(target)
    }

    /// A head to evaluate.
    public struct Point: Sendable {
        /// Weights and biases of standardised inputs.
        public var parameters: LinearParameters
        /// The strength of the penalty on the weights.
        public var l2: Double

        /// `l2 / 2` times the sum of the squared weights.
        var penalty: Double { l2 == 0 ? 0 : l2 / 2 * parameters.squaredWeights }

        /// Pairs a head with a penalty.
        public init(parameters: LinearParameters, l2: Double) {
            self.parameters = parameters
            self.l2 = l2
        }
    }

    /// The objective at a point and its gradient.
    public struct Value: Sendable {
        /// The mean loss plus the penalty.
        public var value: Double
        /// In the layout of ``LinearParameters``.
        public var gradient: [Double]
    }

    /// Objective and gradient of each head.
    ///
    /// Products are in Float32 within a block; sums over blocks are in Double, in block order within a chunk and in
    /// chunk order over chunks, whatever the number of threads. The mean is 0 where no row has a weight.
    ///
    /// - Complexity: O(rows * width * outputs * heads); reads the features once.
    /// - Reference: `naiveLinearHeadGradient`; for other losses `naiveHeadGradient` in the tests.
    public func evaluate(_ points: [Point]) -> [Value] {
        if points.count == 1, isWide { return [evaluateWide(points[0])] }
        let (width, rowCount) = (features.width, features.rowCount)
        let product = product(points.map(\.parameters))
        let partition = RowPartition(rowCount: rowCount, width: width)
        let chunks = team.map(partition.chunkCount) { chunk in
            var sums = PartialSums(heads: points.count, columns: product.columns, width: width)
            let scratch = BlockScratch(rows: partition.blockRows, width: width, columns: product.columns)
            partition.forEachBlock(ofChunk: chunk) { rows in
                scratch.gradient.update(repeating: 0, count: product.columns * width)
                forEachTile(of: rows, product, scratch) { rows, tile in
                    addLosses(of: tile, rows, product, scratch, to: &sums)
                    if isRelative {
                        product.addGradientInPlace(tile, turned: scratch.logits, to: scratch.gradient)
                    } else {
                        product.addGradient(tile, rows: rows.count, factors: scratch.logits, to: scratch.gradient)
                        sums.addBiases(scratch, rows: rows.count)
                    }
                }
                sums.addWeights(scratch)
            }
            return sums.numbers()
        }
        return combine(chunks, points: points, standardization: standardization, foldsMean: foldsMean)
    }

    /// The mean loss of each head, without penalty.
    ///
    /// - Complexity: O(rows * width * outputs * heads); reads the features once.
    public func meanLoss(_ parameters: [LinearParameters]) -> [Double] {
        let product = product(parameters)
        let partition = RowPartition(rowCount: features.rowCount, width: features.width)
        let chunks = team.map(partition.chunkCount) { chunk in
            var sums = PartialSums(heads: parameters.count, columns: product.columns, width: features.width)
            let scratch = BlockScratch(
                rows: partition.blockRows, width: features.width, columns: product.columns, hasGradient: false)
            partition.forEachBlock(ofChunk: chunk) { rows in
                forEachTile(of: rows, product, scratch) { addLosses(of: $1, $0, product, scratch, to: &sums) }
            }
            return sums.losses
        }
        return parameters.indices.map { index in
            var sum = LossSum()
            for chunk in chunks { sum += LossSum(chunk, at: 2 * index) }
            return sum.mean
        }
    }

    private func product(_ heads: [LinearParameters]) -> RowProduct {
        RowProduct(heads, standardization: standardization, relative: isRelative, foldsMean: foldsMean)
    }

    /// Adds the losses of a tile, and leaves the gradient with respect to its logits in `scratch.logits`: [rows, columns], or
    /// column by column where logits are relative, with its sums added to the biases'.
    private func addLosses(
        of tile: RowProduct.Tile, _ rows: Range<Int>, _ product: RowProduct, _ scratch: BlockScratch,
        to sums: inout PartialSums
    ) {
        guard isRelative else {
            product.forward(tile, rows: rows.count, logits: scratch.logits)
            for head in 0..<(product.columns / outputCount) {
                let loss = lossAndGradient(
                    scratch.logits, rows: rows, stride: product.columns, offset: head * outputCount)
                sums.add(loss, ofHead: head)
            }
            return
        }
        product.forwardInPlace(tile, turned: scratch.logits)
        addRelativeLosses(
            rows, heads: product.columns / (outputCount - 1), stride: RowProduct.rowsInPlace, scratch, to: &sums)
    }

    /// Adds the losses of rows whose logits, relative to those of the last class, are in `scratch.logits` [heads * (classes - 1),
    /// stride], and leaves the gradient with respect to them there, with its sums added to the biases'.
    func addRelativeLosses(
        _ rows: Range<Int>, heads: Int = 1, stride: Int, _ scratch: BlockScratch, to sums: inout PartialSums
    ) {
        let columns = outputCount - 1
        withUnsafeTemporaryAllocation(of: Double.self, capacity: columns) { biases in
            for head in 0..<heads {
                biases.update(repeating: 0)
                let loss = targets.labels.withUnsafeBufferPointer {
                    SoftmaxCrossEntropy.forwardBackwardColumns(
                        logits: scratch.logits + head * columns * stride,
                        labels: $0.baseAddress! + rows.lowerBound, rows: rows.count, columns: columns,
                        stride: stride, biases: biases.baseAddress!)
                }
                sums.add(LossSum(loss: loss, weight: Double(rows.count)), ofHead: head)
                sums.addBiases(UnsafeBufferPointer(biases), ofHead: head)
            }
        }
    }

    private func forEachTile(
        of rows: Range<Int>, _ product: RowProduct, _ scratch: BlockScratch,
        _ body: (Range<Int>, RowProduct.Tile) -> Void
    ) {
        func pass(_ features: some FeatureRows) {
            product.forEachTile(of: features, rows, kept: kept, scratch: scratch, body)
        }
        pass(features)
    }

    /// The summed loss of a block; logits [rows.count, stride] of a head become the gradient with respect to them.
    func lossAndGradient(
        _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, stride: Int, offset: Int
    ) -> LossSum {
        guard isPlain else {
            let logits = logits + offset
            return loss.evaluate(
                logits: logits, targets: targets, rows: rows, classes: outputCount, stride: stride, gradient: logits)
        }
        return targets.labels.withUnsafeBufferPointer {
            LossSum(
                loss: SoftmaxCrossEntropy.forwardBackward(
                    logits: logits, labels: $0.baseAddress! + rows.lowerBound, rows: rows.count,
                    classes: outputCount, stride: stride, offset: offset),
                weight: Double(rows.count))
        }
    }

    /// Mean over the rows, plus the penalty.
    ///
    /// - Parameters:
    ///   - chunks: [chunks]: ``PartialSums/numbers``.
    ///   - standardization: of the rows that were added up.
    ///   - foldsMean: whether their mean is still to be taken away.
    func combine(
        _ chunks: [[Double]], points: [Point], standardization: Standardization, foldsMean: Bool
    ) -> [Value] {
        let width = features.width
        let size = outputCount * (width + 1)
        let columns = isRelative ? outputCount - 1 : outputCount
        return points.indices.map { index in
            let point = points[index]
            var loss = LossSum()
            var sums = [Double](repeating: 0, count: columns * (width + 1))
            for chunk in chunks {
                loss += LossSum(chunk, at: 2 * index)
                addScaled(1, chunk[(2 * points.count + index * sums.count)...], to: &sums)
            }
            let scale = loss.inverseWeight
            let scales = standardization.inverseDeviation.map { scale * Double($0) } + [scale]
            if foldsMean {
                let mean = standardization.mean.map(Double.init)
                sums.withUnsafeMutableBufferPointer { sums in
                    for column in 0..<columns {
                        let own = sums.baseAddress! + column * (width + 1)
                        addScaled(-own[width], mean, to: own)
                    }
                }
            }
            // Sums are of centred rows.
            var gradient = [Double](unsafeUninitializedCapacity: size) { gradient, count in
                for column in 0..<columns {
                    let start = column * (width + 1)
                    for offset in 0...width { gradient[start + offset] = sums[start + offset] * scales[offset] }
                }
                count = columns * (width + 1)
            }
            if isRelative {
                // Residuals of the classes sum to zero.
                var last = [Double](repeating: 0, count: width + 1)
                for column in 0..<columns { addScaled(-1, gradient[(column * (width + 1))...], to: &last) }
                gradient += last
            }
            for range in point.parameters.weights.ranges {
                for offset in range { gradient[offset] += point.l2 * point.parameters.values[offset] }
            }
            if self.loss.ignoresCommonShift { removeCommonBias(from: &gradient) }
            return Value(value: loss.mean + point.penalty, gradient: gradient)
        }
    }

    /// Residuals of the classes sum to zero, so biases never move together; what rounding leaves of such a move would
    /// add up over many steps, since neither loss nor penalty holds it back.
    func removeCommonBias(from gradient: inout [Double]) {
        let biases = stride(from: features.width, to: gradient.count, by: features.width + 1)
        let common = biases.reduce(0) { $0 + gradient[$1] } / Double(outputCount)
        for index in biases { gradient[index] -= common }
    }
}
