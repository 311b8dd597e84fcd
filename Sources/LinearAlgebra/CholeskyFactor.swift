import COpenBLAS

/// The Cholesky factor of a symmetric positive definite matrix, to solve systems with it.
public struct CholeskyFactor: Sendable {
    /// The order of the matrix.
    public let order: Int
    private let factor: [Float]

    /// Factors a matrix; nil when it is not positive definite in Float32.
    ///
    /// - Parameter upper: [order, order], row-major; only entries with column >= row are read.
    /// - Complexity: O(order³).
    public init?(upper: [Float], order: Int) {
        precondition(upper.count == order * order, "a square matrix")
        BLAS.useOneThread()
        var factor = upper
        // Row-major upper is column-major lower: naming it so spares LAPACKE its transposition.
        // The `_work` forms skip LAPACKE's search for NaN, which takes longer than solving.
        let info = LAPACKE_spotrf_work(
            LAPACK_COL_MAJOR, CChar(UInt8(ascii: "L")), Int32(order), &factor, Int32(max(order, 1)))
        precondition(info >= 0, "argument \(-info) of spotrf is wrong")
        guard info == 0 else { return nil }
        self.order = order
        self.factor = factor
    }

    /// Solves `A x = b` for several right-hand sides in place.
    ///
    /// - Parameter rows: [count, order], each row one right-hand side, replaced by its solution.
    /// - Complexity: O(count * order²).
    public func solve(_ rows: inout [Float]) {
        precondition(rows.count % max(order, 1) == 0, "right-hand sides of the matrix's order")
        guard order > 0, !rows.isEmpty else { return }
        let info = LAPACKE_spotrs_work(
            LAPACK_COL_MAJOR, CChar(UInt8(ascii: "L")), Int32(order), Int32(rows.count / order), factor, Int32(order),
            &rows, Int32(order))
        precondition(info == 0, "argument \(-info) of spotrs is wrong")
    }
}
