import COpenBLAS

/// The Cholesky factor of a symmetric positive definite matrix, to solve systems with it.
///
/// `A = Uᵀ U`. LAPACK's solver packs the whole factor anew for every call, which takes longer than the arithmetic for a few
/// right-hand sides. Here the blocks on the diagonal are inverted once, so that solving is products with the factor where
/// it is: measured at order 768 and six right-hand sides, less than half the time.
public struct CholeskyFactor: Sendable {
    /// The order of the matrix.
    public let order: Int
    /// [order, order], row-major; U in the upper triangle.
    private let factor: [Float]
    /// [blocks, blockSize, blockSize]: the inverses of U's diagonal blocks, zero below the diagonal; the last block may fill
    /// a part of its place only.
    private let inverses: [Float]

    private static let blockSize = 128

    /// Factors a matrix; nil when it is not positive definite in Float32.
    ///
    /// - Parameter upper: [order, order], row-major; only entries with column >= row are read.
    /// - Complexity: O(order³).
    public init?(upper: consuming [Float], order: Int) {
        precondition(upper.count == order * order, "a square matrix")
        BLAS.useOneThread()
        var factor = consume upper
        // Row-major upper is column-major lower: naming it so spares LAPACKE its transposition.
        // The `_work` form skips LAPACKE's search for NaN.
        let info = LAPACKE_spotrf_work(
            LAPACK_COL_MAJOR, CChar(UInt8(ascii: "L")), Int32(order), &factor, Int32(max(order, 1)))
        precondition(info >= 0, "argument \(-info) of spotrf is wrong")
        guard info == 0 else { return nil }
        self.order = order
        self.factor = factor
        inverses = Self.invertedDiagonal(of: factor, order: order)
    }

    private static func invertedDiagonal(of factor: [Float], order: Int) -> [Float] {
        let size = blockSize
        let blocks = (order + size - 1) / size
        var inverses = [Float](repeating: 0, count: blocks * size * size)
        inverses.withUnsafeMutableBufferPointer { inverses in
            for block in 0..<blocks {
                let start = block * size
                let count = min(size, order - start)
                let target = inverses.baseAddress! + block * size * size
                for row in 0..<count {
                    for column in row..<count {
                        target[row * size + column] = factor[(start + row) * order + start + column]
                    }
                }
                let info = LAPACKE_strtri_work(
                    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "L")), CChar(UInt8(ascii: "N")), Int32(count), target,
                    Int32(size))
                precondition(info == 0, "a factor without zeros on its diagonal")
            }
        }
        return inverses
    }

    /// Solves `A x = b` for several right-hand sides in place.
    ///
    /// - Parameter rows: [count, order], each row one right-hand side, replaced by its solution.
    /// - Complexity: O(count * order²).
    /// - Reference: the product with the matrix, in the tests.
    public func solve(_ rows: inout [Float]) {
        precondition(rows.count % max(order, 1) == 0, "right-hand sides of the matrix's order")
        guard order > 0, !rows.isEmpty else { return }
        let (order, size, count) = (order, Self.blockSize, rows.count / order)
        let starts = Array(stride(from: 0, to: order, by: size))
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count * size) { scratch in
            let scratch = scratch.baseAddress!
            rows.withUnsafeMutableBufferPointer { rows in
                factor.withUnsafeBufferPointer { factor in
                    let (x, u) = (rows.baseAddress!, factor.baseAddress!)
                    // Y U = B, block by block from the left.
                    for start in starts {
                        let columns = min(size, order - start)
                        subtract(
                            x, u + start, transposed: false, from: x + start, rows: count, columns: columns,
                            inner: start)
                        multiplyByInverse(x + start, at: start, transposed: false, rows: count, scratch: scratch)
                    }
                    // X Uᵀ = Y, from the right.
                    for start in starts.reversed() {
                        let end = min(start + size, order)
                        subtract(
                            x + end, u + start * order + end, transposed: true, from: x + start, rows: count,
                            columns: end - start, inner: order - end)
                        multiplyByInverse(x + start, at: start, transposed: true, rows: count, scratch: scratch)
                    }
                }
            }
        }
    }

    /// `c -= a · b` or `a · bᵀ`, all with rows `order` apart.
    private func subtract(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, transposed: Bool, from c: UnsafeMutablePointer<Float>,
        rows: Int, columns: Int, inner: Int
    ) {
        guard inner > 0 else { return }
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, Int32(rows), Int32(columns),
            Int32(inner), -1, a, Int32(order), b, Int32(order), 1, c, Int32(order))
    }

    /// Replaces columns [rows, block] by their product with the inverse of the block at `start`, or its transpose.
    private func multiplyByInverse(
        _ columns: UnsafeMutablePointer<Float>, at start: Int, transposed: Bool, rows: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let size = Self.blockSize
        let count = min(size, order - start)
        for row in 0..<rows { (scratch + row * size).update(from: columns + row * order, count: count) }
        inverses.withUnsafeBufferPointer {
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, Int32(rows), Int32(count),
                Int32(count), 1, scratch, Int32(size), $0.baseAddress! + start * size, Int32(size), 0, columns,
                Int32(order))
        }
    }
}
