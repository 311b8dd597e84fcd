import Statistics
import Testing

@testable import LinearAlgebra

/// `a · bᵀ` in Double, entry by entry: the reference for `BLAS.multiplyTransposed`.
private func naiveMultiplyTransposed(_ a: [Float], _ b: [Float], rows: Int, columns: Int, inner: Int) -> [Double] {
    (0..<(rows * columns)).map { index in
        let (row, column) = (index / columns, index % columns)
        return (0..<inner).reduce(0) { $0 + Double(a[row * inner + $1]) * Double(b[column * inner + $1]) }
    }
}

/// `aᵀ · b` in Double, entry by entry: the reference for `BLAS.transposedMultiply`.
private func naiveTransposedMultiply(_ a: [Float], _ b: [Float], rows: Int, columns: Int, inner: Int) -> [Double] {
    (0..<(rows * columns)).map { index in
        let (row, column) = (index / columns, index % columns)
        return (0..<inner).reduce(0) { $0 + Double(a[$1 * rows + row]) * Double(b[$1 * columns + column]) }
    }
}

@Suite("BLAS on row-major memory")
struct BLASTests {
    /// Odd sizes, and what heads have: a few columns, so that small and packed kernels are both met.
    private static let shapes =
        [(1, 1, 1), (7, 3, 5), (64, 2, 129), (33, 24, 128), (341, 6, 768)]
        + (1...13).map { (37, $0, 769) } + [1, 3, 7].map { (128, 5, $0) }

    private func random(_ count: Int, _ generator: inout SplitMix64) -> [Float] {
        (0..<count).map { _ in .random(in: -1...1, using: &generator) }
    }

    /// A sum of n products of numbers up to 1 in Float32 errs by less than n ulps of n, far more than it does.
    private func tolerance(_ inner: Int) -> Double { Double(inner) * Double(inner) * Double(Float.ulpOfOne) }

    @Test("multiplies by a transposed matrix", arguments: shapes)
    func multiplyTransposed(rows: Int, columns: Int, inner: Int) {
        var generator = SplitMix64(seed: 1)
        let a = random(rows * inner, &generator)
        let b = random(columns * inner, &generator)
        var c = random(rows * columns, &generator)
        let before = c
        BLAS.multiplyTransposed(a, b, into: &c, rows: rows, columns: columns, inner: inner, beta: 1)
        let naive = naiveMultiplyTransposed(a, b, rows: rows, columns: columns, inner: inner)
        for index in c.indices {
            #expect(abs(Double(c[index]) - Double(before[index]) - naive[index]) <= tolerance(inner))
        }
    }

    @Test("multiplies a transposed matrix", arguments: shapes)
    func transposedMultiply(rows: Int, columns: Int, inner: Int) {
        var generator = SplitMix64(seed: 2)
        let a = random(inner * rows, &generator)
        let b = random(inner * columns, &generator)
        var c = random(rows * columns, &generator)
        BLAS.transposedMultiply(a, b, into: &c, rows: rows, columns: columns, inner: inner)
        let naive = naiveTransposedMultiply(a, b, rows: rows, columns: columns, inner: inner)
        for index in c.indices { #expect(abs(Double(c[index]) - naive[index]) <= tolerance(inner)) }
    }

    @Test("adds second moments to the upper triangle alone")
    func secondMoment() {
        var generator = SplitMix64(seed: 3)
        let (rows, width) = (50, 9)
        let a = random(rows * width, &generator)
        var moment = [Float](repeating: 1, count: width * width)
        BLAS.addSecondMoment(of: a, rows: rows, width: width, scale: 0.5, into: &moment)
        let naive = naiveTransposedMultiply(a, a, rows: width, columns: width, inner: rows)
        for row in 0..<width {
            for column in 0..<width {
                let expected = column >= row ? 1 + 0.5 * naive[row * width + column] : 1
                #expect(abs(Double(moment[row * width + column]) - expected) <= tolerance(rows))
            }
        }
    }

}
