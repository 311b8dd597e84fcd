import LinearAlgebra

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
