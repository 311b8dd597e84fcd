import Foundation
import LinearAlgebra

/// An approximation of the Hessian of a linear head's objective, to precondition its minimisation.
///
/// The block of the Hessian that belongs to class k is `1/N sum_n p_nk (1 - p_nk) x_n x_nᵀ + l2`. Here all classes share
/// one matrix, whose rows are weighted by their mean curvature `w_n = (1 - sum_k p_nk²) / (C - 1)`. For two classes, and
/// for any number of them at zero weights, that is exact on all directions in which the class rows sum to zero, the only
/// ones the gradient has. Rows that are classified with certainty hardly count, as in the Hessian itself. (A scale of its
/// own for each class leads out of those directions: measured, it takes a third more evaluations.)
struct HeadPreconditioner: Sendable {
    private let factor: CholeskyFactor
    private let biasCurvature: Double
    private let classCount: Int
    private let width: Int

    /// Measures the curvature at a point over at most `maximumRows` rows, evenly spread: a preconditioner need not be
    /// exact. By default there are some for each feature: with fewer than two, measured, it takes twice the evaluations.
    ///
    /// - Complexity: O(rows * width² + width³).
    init(of objective: LinearHeadObjective, at point: LinearHeadObjective.Point, maximumRows: Int? = nil) {
        classCount = objective.outputCount
        width = objective.features.width
        let maximumRows = maximumRows ?? max(2048, 4 * width)
        let moment = WeightedSecondMoment(objective, at: point.parameters, maximumRows: maximumRows)
        biasCurvature = max(moment.meanCurvature, 1e-12)
        factor = Self.factor(moment.upper, width: width, ridge: Float(point.l2))
    }

    private static func factor(_ upper: [Float], width: Int, ridge: Float) -> CholeskyFactor {
        var trace: Float = 0
        for index in 0..<width { trace += upper[index * width + index] }
        // Any positive definite matrix is a valid preconditioner: raise the ridge until Float32 can factor it.
        var ridge = max(ridge, 1e-6 * trace / Float(width), .leastNormalMagnitude)
        while true {
            var matrix = upper
            for index in 0..<width { matrix[index * width + index] += ridge }
            if let factor = CholeskyFactor(upper: matrix, order: width) { return factor }
            ridge *= 10
        }
    }

    /// P⁻¹ times a vector in the layout of ``LinearParameters``.
    ///
    /// - Complexity: O(classes * width²).
    func apply(_ vector: [Double]) -> [Double] {
        // Scaled to unit size, so that tiny gradients near the optimum do not underflow in Float32.
        let scale = vector.reduce(0) { max($0, abs($1)) }
        guard scale > 0 else { return vector }
        let inverse = 1 / scale
        var rows = [Float](unsafeUninitializedCapacity: classCount * width) { rows, count in
            for row in 0..<classCount {
                for column in 0..<width {
                    rows[row * width + column] = Float(vector[row * (width + 1) + column] * inverse)
                }
            }
            count = classCount * width
        }
        factor.solve(&rows)
        var result = vector
        result.withUnsafeMutableBufferPointer { result in
            for row in 0..<classCount {
                for column in 0..<width {
                    result[row * (width + 1) + column] = Double(rows[row * width + column]) * scale
                }
                result[row * (width + 1) + width] /= biasCurvature
            }
        }
        return result
    }
}

/// Standardised rows, evenly spread over all there are, on every rank: so few that all can have them.
private struct RowSample {
    private let objective: LinearHeadObjective
    private let count: Int
    /// [count, width]; nil where they can be read when they are asked for.
    private let gathered: [Float]?

    init(of objective: LinearHeadObjective, count: Int) {
        self.objective = objective
        self.count = count
        guard !objective.team.ranks.isAlone else {
            gathered = nil
            return
        }
        let (width, rowCount) = (objective.features.width, objective.features.rowCount)
        let own = objective.team.rows(of: RowPartition(rowCount: rowCount, width: width))
        let scratch = BlockScratch(rows: 1, width: width, columns: 1)
        var rows: [Float] = []
        for index in 0..<count {
            let source = index * rowCount / count
            guard own.contains(source) else { continue }
            rows += UnsafeBufferPointer(start: objective.block(source..<(source + 1), scratch), count: width)
        }
        // Ranks have rows that follow one another.
        gathered = objective.team.ranks.gathered(rows)
    }

    /// Copies some of the sample.
    func copy(_ rows: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        let (width, rowCount) = (objective.features.width, objective.features.rowCount)
        if let gathered {
            gathered.withUnsafeBufferPointer {
                target.update(from: $0.baseAddress! + rows.lowerBound * width, count: rows.count * width)
            }
            return
        }
        let scratch = BlockScratch(rows: 1, width: width, columns: 1)
        for (place, index) in rows.enumerated() {
            let source = index * rowCount / count
            (target + place * width).update(from: objective.block(source..<(source + 1), scratch), count: width)
        }
    }
}

/// The second moment of standardised features, every row weighted by its curvature.
private struct WeightedSecondMoment {
    /// [width, width], upper triangle.
    let upper: [Float]
    /// The mean curvature of the rows.
    let meanCurvature: Double

    init(_ objective: LinearHeadObjective, at parameters: LinearParameters, maximumRows: Int) {
        let (width, classes) = (objective.features.width, objective.outputCount)
        let rowCount = objective.features.rowCount
        let count = min(rowCount, maximumRows)
        let sample = RowSample(of: objective, count: count)
        let packed = PackedHeads([parameters])
        let partition = RowPartition(rowCount: count, width: width)
        // Each partial sum holds width² numbers, so there are only as many as are worth having threads for.
        let parts = min(4, partition.chunkCount)
        let sums = Parallel.map(parts, threads: objective.team.threads) { part -> (moment: [Float], sum: LossSum) in
            var moment = [Float](repeating: 0, count: width * width)
            var sum = LossSum()
            let scratch = BlockScratch(rows: partition.blockRows, width: width, columns: classes)
            var row = count * part / parts
            let end = count * (part + 1) / parts
            while row < end {
                let rows = min(partition.blockRows, end - row)
                sample.copy(row..<(row + rows), into: scratch.features)
                packed.forward(scratch.features, rows: rows, logits: scratch.logits)
                for index in 0..<rows {
                    let source = (row + index) * rowCount / count
                    let own = objective.loss.curvature(
                        logits: scratch.logits + index * classes, targets: objective.targets, row: source,
                        scale: objective.targets.weight(ofRow: source), classes: classes)
                    sum += own
                    let root = Float(own.loss.squareRoot())
                    let values = scratch.features + index * width
                    for column in 0..<width { values[column] *= root }
                }
                BLAS.addSecondMoment(
                    of: scratch.features, rows: rows, width: width, scale: 1 / Float(count), into: &moment)
                row += rows
            }
            return (moment, sum)
        }
        var total = sums[0].moment
        for sum in sums.dropFirst() {
            for index in total.indices { total[index] += sum.moment[index] }
        }
        var curvature = LossSum()
        for sum in sums { curvature += sum.sum }
        // Means divide by weights, not by rows.
        if curvature.weight != Double(count), curvature.weight > 0 {
            let scale = Float(Double(count) / curvature.weight)
            for index in total.indices { total[index] *= scale }
        }
        upper = total
        meanCurvature = curvature.weight > 0 ? curvature.mean : 0
    }
}
