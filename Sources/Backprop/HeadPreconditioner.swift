import Foundation
import LinearAlgebra
import Safetensors

/// An approximation of the Hessian of a linear head's objective, to precondition its minimisation.
///
/// The block of the Hessian that belongs to class k is `1/N sum_n p_nk (1 - p_nk) x_n x_nᵀ + l2`. Here all classes share
/// one matrix, whose rows are weighted by their mean curvature `w_n = (1 - sum_k p_nk²) / (C - 1)`. For two classes, and
/// for any number of them at zero weights, that is exact on all directions in which the class rows sum to zero, the only
/// ones the gradient has. Rows that are classified with certainty hardly count, as in the Hessian itself. Directions of the
/// classes with more or less curvature than the mean are scaled (``ClassScaling``); a matrix of its own for each saves more
/// evaluations, but takes longer than those, to factor and to read.
struct HeadPreconditioner: Sendable {
    /// Features side by side, and the factor of the matrix's block that belongs to them.
    private struct Block: Sendable {
        var columns: Range<Int>
        var factor: CholeskyFactor
    }

    /// How many features a block of a rough approximation has.
    static let roughBlockWidth = 128

    /// One, or several where the approximation is rough.
    private let blocks: [Block]
    private let scaling: ClassScaling?
    private let biasCurvature: Double
    private let classCount: Int
    private let width: Int

    /// Measures the curvature at a point over at most some rows for each feature, evenly spread: a preconditioner need not be
    /// exact. With fewer than two, measured, it takes twice the evaluations; with eight rather than four a fourth less, which is
    /// less than what they cost, unless the processor has matrix instructions.
    ///
    /// - Parameter isRough: whether blocks on the diagonal will do, for a start: with 768 features a tenth of the price. They
    ///   are scaled by the square root of their number, which is between 1, right for features that have nothing to do with
    ///   those of other blocks, and the number, right for those that all say the same.
    /// - Complexity: O(rows * width² + width³), of a rough one O(rows * width).
    init(of objective: LinearHeadObjective, at point: LinearHeadObjective.Point, isRough: Bool = false) {
        let width = objective.features.width
        let blockWidth = isRough ? min(width, Self.roughBlockWidth) : width
        let columns = stride(from: 0, to: width, by: blockWidth).map { $0..<min($0 + blockWidth, width) }
        let rowsPerFeature = isRough || SecondMoment.hasMatrixInstructions ? 8 : 4
        let maximumRows = isRough ? rowsPerFeature * blockWidth : max(2048, rowsPerFeature * width)
        classCount = objective.outputCount
        self.width = width
        var ridge = Float(point.l2)
        // Any positive definite matrix is a valid preconditioner: the ridge is raised until Float32 can factor it. That is so
        // rare that the matrix is measured again rather than kept.
        while true {
            var moment = WeightedSecondMoment(
                objective, at: point.parameters, maximumRows: maximumRows, group: blockWidth)
            ridge = max(ridge, 1e-6 * moment.trace / Float(width), .leastNormalMagnitude)
            let scale = Float(columns.count).squareRoot()
            var blocks: [Block] = []
            for (group, columns) in columns.enumerated() {
                let matrix = moment.take(group, count: columns.count, scale: scale, ridge: ridge)
                guard let factor = CholeskyFactor(upper: matrix, order: columns.count) else { break }
                blocks.append(Block(columns: columns, factor: factor))
            }
            if blocks.count == columns.count {
                self.blocks = blocks
                scaling = moment.scaling
                biasCurvature = max(moment.meanCurvature, 1e-12)
                return
            }
            ridge *= 10
        }
    }

    /// P⁻¹ times a vector in the layout of ``LinearParameters``.
    ///
    /// - Complexity: O(classes * width² + classes² * width).
    func apply(_ vector: [Double]) -> [Double] {
        var result = scaling?.apply(vector) ?? vector
        // Scaled to unit size, so that tiny gradients near the optimum do not underflow in Float32.
        let scale = dot(result, result).squareRoot()
        guard scale > 0 else { return result }
        let (inverse, stride) = (1 / scale, width + 1)
        result.withUnsafeMutableBufferPointer { result in
            for block in blocks {
                let count = block.columns.count
                var rows = [Float](unsafeUninitializedCapacity: classCount * count) { rows, size in
                    for row in 0..<classCount {
                        let source = result.baseAddress! + row * stride + block.columns.lowerBound
                        let target = rows.baseAddress! + row * count
                        for column in 0..<count { target[column] = Float(source[column] * inverse) }
                    }
                    size = classCount * count
                }
                block.factor.solve(&rows)
                rows.withUnsafeBufferPointer { rows in
                    for row in 0..<classCount {
                        let source = rows.baseAddress! + row * count
                        let target = result.baseAddress! + row * stride + block.columns.lowerBound
                        for column in 0..<count { target[column] = Double(source[column]) * scale }
                    }
                }
            }
            for row in 0..<classCount { result[row * stride + width] /= biasCurvature }
        }
        return result
    }
}

/// Rows, evenly spread over all there are, on every rank: so few that all can have them.
private struct RowSample {
    /// What the rows of the sample are standardised by.
    let standardization: Standardization
    private let features: any FeatureRows
    private let count: Int
    /// [count, width]: centred; nil where the rows can be read when they are asked for.
    private let gathered: [Float]?

    init(of objective: LinearHeadObjective, count: Int) {
        features = objective.features
        self.count = count
        guard !objective.team.ranks.isAlone else {
            standardization = objective.standardization
            gathered = nil
            return
        }
        let (features, mean) = (objective.features, objective.standardization.mean)
        let (width, rowCount) = (features.width, features.rowCount)
        let own = objective.team.rows(of: RowPartition(rowCount: rowCount, width: width))
        let sources = (0..<count).map { $0 * rowCount / count }.filter { own.contains($0) }
        let rows = [Float](unsafeUninitializedCapacity: sources.count * width) { buffer, size in
            features.withRows(at: sources) { rows in
                rows.copy(shiftedBy: mean, into: buffer.baseAddress!)
            }
            size = sources.count * width
        }
        // Ranks have rows that follow one another.
        gathered = objective.team.ranks.gathered(rows)
        standardization = objective.standardization.ofCentredRows
    }

    /// The index of a row of the sample among all rows.
    func source(_ index: Int) -> Int { index * features.rowCount / count }

    /// Calls with some rows of the sample.
    func withRows(_ rows: Range<Int>, _ body: (RowPointers) -> Void) {
        guard let gathered else { return features.withRows(at: rows.map(source), body) }
        let width = features.width
        gathered.withUnsafeBufferPointer {
            RowPointers.with(
                UnsafeBufferPointer(rebasing: $0[(rows.lowerBound * width)..<(rows.upperBound * width)]),
                width: width, body)
        }
    }
}

/// The second moment of standardised features, every row weighted by its curvature.
private struct WeightedSecondMoment {
    /// [groups]: [features, features], upper triangle.
    private var sums: [[Float]]
    /// What the sum is divided by: means divide by weights, not by rows.
    private let weight: Float
    /// The mean curvature of the rows.
    let meanCurvature: Double
    /// How that differs between directions of the classes; nil where there is one direction only, or too many.
    let scaling: ClassScaling?

    init(_ objective: LinearHeadObjective, at parameters: LinearParameters, maximumRows: Int, group: Int) {
        let (width, classes) = (objective.features.width, objective.outputCount)
        let count = min(objective.features.rowCount, maximumRows)
        let sample = RowSample(of: objective, count: count)
        let standardization = sample.standardization
        let product = RowProduct([parameters], standardization: standardization)
        var sum = SecondMoment(width: width, group: group, threads: objective.team.threads)
        var curvature = LossSum()
        let scratch = BlockScratch(rows: sum.blockRows, width: width, columns: classes, hasGradient: false)
        var directions =
            (3...ClassScaling.mostClasses).contains(classes) ? ClassScaling.Sum(classCount: classes) : nil
        var roots = [Float](repeating: 0, count: sum.blockRows)
        for start in stride(from: 0, to: count, by: sum.blockRows) {
            let rows = start..<min(start + sum.blockRows, count)
            sample.withRows(rows) { pointers in
                product.forEachTile(of: pointers, scratch: scratch) { own, tile in
                    product.forward(tile, rows: own.count, logits: scratch.logits)
                    for (index, row) in own.enumerated() {
                        let source = sample.source(start + row)
                        let own = objective.loss.curvature(
                            logits: scratch.logits + index * classes, targets: objective.targets, row: source,
                            scale: objective.targets.weight(ofRow: source), classes: classes)
                        curvature += own
                        directions?.add(logits: scratch.logits + index * classes, meanCurvature: own.loss)
                        roots[row] = Float(own.loss.squareRoot())
                    }
                }
                pointers.copy(
                    shiftedBy: standardization.mean, scaledBy: standardization.inverseDeviation, factors: roots,
                    into: scratch.features)
            }
            sum.add(scratch.features, rows: rows.count)
        }
        sums = sum.blocks()
        weight = Float(curvature.weight > 0 ? curvature.weight : Double(count))
        meanCurvature = curvature.weight > 0 ? curvature.mean : 0
        scaling = directions.map { ClassScaling(ofMean: $0.total, classCount: classes) }
    }

    /// The sum of the diagonal.
    var trace: Float {
        sums.reduce(0) { total, sum in
            let count = Int(Double(sum.count).squareRoot())
            return (0..<count).reduce(total) { $0 + sum[$1 * count + $1] / weight }
        }
    }

    /// Gives away the moment of a group, scaled, with a number added to its diagonal: [count, count], upper triangle.
    mutating func take(_ group: Int, count: Int, scale: Float, ridge: Float) -> [Float] {
        // The memory changes hands.
        var block: [Float] = []
        swap(&block, &sums[group])
        let factor = scale / weight
        block.withUnsafeMutableBufferPointer { block in
            for row in 0..<count {
                for index in (row * count + row)..<((row + 1) * count) { block[index] *= factor }
                block[row * count + row] += ridge
            }
        }
        return block
    }
}
