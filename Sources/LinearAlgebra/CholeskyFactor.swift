import CKernels
import COpenBLAS

/// The Cholesky factor of a symmetric positive definite matrix, to solve systems with it, about: for a preconditioner.
///
/// `A = Uᵀ U`. LAPACK's solver packs the whole factor anew for every call, which takes longer than the arithmetic for a few
/// right-hand sides. Here the blocks on the diagonal are inverted once, so that solving is products of blocks with few columns.
/// Reading the factor is what takes time; so what is beside those blocks is rounded to BF16, which costs a preconditioner nothing:
/// whatever is done to U, Uᵀ U is symmetric and positive definite. At order 768, with six right-hand sides, it takes 0.04 ms
/// by matrix instructions (AMX) where the processor has them, and 0.09 without, measured.
public struct CholeskyFactor: Sendable {
    /// What is to the right of the blocks on the diagonal.
    private enum Rows: Sendable {
        /// For matrix instructions.
        case packed(beem_triangles, AlignedMemory)
        /// [order, order], row-major: the upper halves of U's numbers, rounded.
        case plain([UInt16])
    }

    /// The order of the matrix.
    public let order: Int
    private let rows: Rows
    /// [blocks, 2, blockSize, blockSize]: the inverses of U's diagonal blocks, and then the same transposed; the last block may
    /// fill a part of its place only, the rest is zeros.
    private let inverses: [Float]

    private static let blockSize = 32

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
        inverses = Self.invertedDiagonal(of: factor, order: order)
        if let kernels = beem_triangles_best()?.pointee {
            precondition(kernels.block_size == Self.blockSize, "blocks as kernels take them")
            let packed = AlignedMemory(byteCount: kernels.packed_size(order))
            kernels.pack(factor, order, packed.start)
            rows = .packed(kernels, packed)
        } else {
            rows = .plain(Self.rounded(factor, order: order))
        }
    }

    /// To nearest; a tie goes away from zero.
    private static func rounded(_ factor: [Float], order: Int) -> [UInt16] {
        [UInt16](unsafeUninitializedCapacity: factor.count) { rounded, count in
            factor.withUnsafeBufferPointer { factor in
                for row in 0..<order {
                    // The rest is not read.
                    let start = min((row / blockSize + 1) * blockSize, order)
                    for index in (row * order + start)..<((row + 1) * order) {
                        rounded[index] = UInt16(truncatingIfNeeded: (factor[index].bitPattern &+ 0x8000) >> 16)
                    }
                }
            }
            count = factor.count
        }
    }

    private static func invertedDiagonal(of factor: [Float], order: Int) -> [Float] {
        let size = blockSize
        let blocks = (order + size - 1) / size
        var inverses = [Float](repeating: 0, count: blocks * 2 * size * size)
        inverses.withUnsafeMutableBufferPointer { inverses in
            for block in 0..<blocks {
                let start = block * size
                let count = min(size, order - start)
                let target = inverses.baseAddress! + block * 2 * size * size
                let turned = target + size * size
                // V U = 1 by rows, from the last: U's part of a row, taken from the unit vector, over the diagonal.
                for row in (0..<count).reversed() {
                    let own = (start + row) * order + start
                    let inverse = 1 / factor[own + row]
                    target[row * size + row] = inverse
                    for inner in (row + 1)..<count {
                        let weight = -inverse * factor[own + inner]
                        for column in inner..<count {
                            target[row * size + column] += weight * target[inner * size + column]
                        }
                    }
                    for column in row..<count { turned[column * size + row] = target[row * size + column] }
                }
            }
        }
        return inverses
    }

    /// Solves `A x = b` for several right-hand sides in place.
    ///
    /// - Parameter sides: [count, order], each row one right-hand side, replaced by its solution.
    /// - Complexity: O(count * order²).
    /// - Reference: the product with the matrix, in the tests.
    public func solve(_ sides: inout [Float]) {
        precondition(sides.count % max(order, 1) == 0, "right-hand sides of the matrix's order")
        guard order > 0, !sides.isEmpty else { return }
        switch rows {
        case .packed(let kernels, let packed): solve(&sides, kernels, packed)
        case .plain(let factor): solve(&sides, factor)
        }
    }

    private func solve(_ sides: inout [Float], _ kernels: beem_triangles, _ packed: AlignedMemory) {
        let (order, count) = (order, sides.count / order)
        sides.withUnsafeMutableBufferPointer { sides in
            withUnsafeTemporaryAllocation(byteCount: kernels.scratch_size(order), alignment: 64) { scratch in
                for start in stride(from: 0, to: count, by: kernels.most_sides) {
                    kernels.solve(
                        packed.start, inverses, order, min(kernels.most_sides, count - start),
                        sides.baseAddress! + start * order, scratch.baseAddress!)
                }
            }
        }
    }

    private func solve(_ sides: inout [Float], _ factor: [UInt16]) {
        let (order, size, count) = (order, Self.blockSize, sides.count / order)
        let starts = stride(from: 0, to: order, by: size)
        sides.withUnsafeMutableBufferPointer { sides in
            let x = sides.baseAddress!
            BlockProducts.with(count: count, order: order, blockSize: size) { products in
                factor.withUnsafeBufferPointer { factor in
                    inverses.withUnsafeBufferPointer { inverses in
                        let (u, inverses) = (factor.baseAddress!, inverses.baseAddress!)
                        // Y U = B, block by block from the left.
                        for start in starts {
                            let end = min(start + size, order)
                            products.take(x + start, times: 1, columns: end - start)
                            products.clear(x + start, columns: end - start)
                            products.add(inverses + 2 * start * size, apart: size, columns: end - start, to: x + start)
                            guard end < order else { break }
                            products.take(x + start, times: -1, columns: end - start)
                            products.add(u + start * order + end, apart: order, columns: order - end, to: x + end)
                        }
                        // X Uᵀ = Y, from the right.
                        for start in starts.reversed() {
                            let end = min(start + size, order)
                            if end < order {
                                products.multiply(
                                    x + end, u + start * order + end, apart: order, rows: end - start,
                                    columns: order - end)
                                products.give(to: x + start) { $0 - $1 }
                            }
                            products.multiply(
                                x + start, inverses + 2 * start * size, apart: size, rows: end - start,
                                columns: end - start)
                            products.give(to: x + start) { $1 }
                        }
                    }
                }
            }
        }
    }
}
