import COpenBLAS

/// The eigenvalues and eigenvectors of a real symmetric matrix, largest eigenvalue first.
///
/// Not guaranteed: the choice of vectors inside the space of (nearly) equal eigenvalues. The sign is fixed: the entry of
/// largest magnitude (the first of several) is positive.
public struct SymmetricEigen: Equatable, Sendable {
    /// The order of the matrix.
    public let size: Int
    /// [size]: descending.
    public let values: [Float]
    /// [size, size]: row i is the eigenvector of `values[i]`, of length 1, orthogonal to the others.
    public let vectors: [Float]

    /// Decomposes a matrix.
    ///
    /// - Parameters:
    ///   - matrix: [size, size], finite; only entries with column >= row are read.
    ///   - size: the order, at least 1.
    /// - Complexity: O(size³); LAPACK's divide and conquer (`ssyevd`), with about 3 size² numbers of work space.
    public init(upperTriangle matrix: [Float], size: Int) {
        precondition(size > 0 && matrix.count == size * size, "a square matrix")
        BLAS.useOneThread()
        var ascending = [Float](repeating: 0, count: size)
        // What LAPACK, column-major, takes for the lower triangle is the upper one of our rows; and the eigenvectors it
        // leaves in columns are our rows.
        var columns = matrix
        let info = LAPACKE_ssyevd(
            LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")), Int32(size), &columns,
            Int32(size), &ascending)
        precondition(info >= 0, "a finite matrix")
        precondition(info == 0, "LAPACK's eigenvalue iteration converges for every finite symmetric matrix")
        self.size = size
        values = ascending.reversed()
        vectors = [Float](unsafeUninitializedCapacity: size * size) { buffer, count in
            for row in 0..<size {
                let source = columns[((size - 1 - row) * size)..<((size - row) * size)]
                var largest: Float = 0
                for entry in source where abs(entry) > abs(largest) { largest = entry }
                let sign: Float = largest < 0 ? -1 : 1
                for (column, entry) in source.enumerated() { buffer[row * size + column] = sign * entry }
            }
            count = size * size
        }
    }
}
