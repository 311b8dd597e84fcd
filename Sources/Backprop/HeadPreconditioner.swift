import LinearAlgebra

/// The second moment of standardised features, from which preconditioners for any L2 value are made.
///
/// The Hessian of the mean softmax cross-entropy at zero weights is `(1/C) M` on every direction in which the class
/// rows sum to zero, M the second moment of the features and C the number of classes; and it is at most `(1/2) M`
/// everywhere (Böhning, 1992). So `M / C + l2` is the right shape for every head.
struct SecondMoment: Sendable {
    /// [width, width], upper triangle.
    let upper: [Float]
    let width: Int

    /// Takes the moment over at most `maximumRows` rows, evenly spread: a preconditioner need not be exact.
    ///
    /// - Complexity: O(rows * width²).
    init(of features: any FeatureRows, standardization: Standardization, maximumRows: Int = 4096, threads: Int) {
        let width = features.width
        let count = min(features.rowCount, maximumRows)
        let rowCount = features.rowCount
        let partition = RowPartition(rowCount: count, width: width)
        // Each partial sum holds width² numbers, so there are only as many as are worth having threads for.
        let parts = min(4, partition.chunkCount)
        let sums = Parallel.map(parts, threads: threads) { part in
            var sum = [Float](repeating: 0, count: width * width)
            let block = UnsafeMutablePointer<Float>.allocate(capacity: partition.blockRows * width)
            defer { block.deallocate() }
            var row = count * part / parts
            let end = count * (part + 1) / parts
            while row < end {
                let rows = min(partition.blockRows, end - row)
                for index in 0..<rows {
                    let source = (row + index) * rowCount / count
                    features.copy(source..<(source + 1), into: block + index * width)
                }
                standardization.apply(to: block, rows: rows)
                BLAS.addSecondMoment(of: block, rows: rows, width: width, scale: 1 / Float(count), into: &sum)
                row += rows
            }
            return sum
        }
        var total = sums[0]
        for sum in sums.dropFirst() {
            for index in total.indices { total[index] += sum[index] }
        }
        upper = total
        self.width = width
    }
}

/// Multiplies gradients of a linear head by the inverse of `M / C + l2` (weights) and `1 / C` (bias).
struct HeadPreconditioner: Sendable {
    private let factor: CholeskyFactor
    private let classCount: Int
    private let width: Int

    /// - Complexity: O(width³).
    init(moment: SecondMoment, classCount: Int, l2: Double) {
        width = moment.width
        self.classCount = classCount
        let curvature = 1 / Float(classCount)
        var trace: Float = 0
        for index in 0..<width { trace += moment.upper[index * width + index] }
        // Any positive definite matrix is a valid preconditioner: raise the ridge until Float32 can factor it.
        var ridge = max(Float(l2), 1e-6 * curvature * trace / Float(width), Float.leastNormalMagnitude)
        while true {
            var matrix = moment.upper.map { $0 * curvature }
            for index in 0..<width { matrix[index * width + index] += ridge }
            if let factor = CholeskyFactor(upper: matrix, order: width) {
                self.factor = factor
                return
            }
            ridge *= 10
        }
    }

    /// P⁻¹ times a vector in the layout of ``LinearParameters``.
    ///
    /// - Complexity: O(classes * width²).
    func apply(_ vector: [Double]) -> [Double] {
        var rows = [Float](repeating: 0, count: classCount * width)
        // Scaled to unit size, so that tiny gradients near the optimum do not underflow in Float32.
        let scale = vector.reduce(0) { max($0, abs($1)) }
        guard scale > 0 else { return vector }
        for row in 0..<classCount {
            for column in 0..<width {
                rows[row * width + column] = Float(vector[row * (width + 1) + column] / scale)
            }
        }
        factor.solve(&rows)
        var result = vector
        for row in 0..<classCount {
            for column in 0..<width {
                result[row * (width + 1) + column] = Double(rows[row * width + column]) * scale
            }
            result[row * (width + 1) + width] *= Double(classCount)
        }
        return result
    }
}
