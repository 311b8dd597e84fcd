import Statistics
import Testing

@testable import LinearAlgebra

@Suite("A Cholesky factor for a preconditioner")
struct CholeskyFactorTests {
    /// Around the sides of blocks.
    private static let orders = [1, 12, 31, 32, 33, 48, 64, 127, 129, 300]

    private static func random(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in .random(in: -1...1, using: &generator) }
    }

    /// `Uᵀ U` [order, order] in Float32, U upper triangular.
    private static func product(of u: [Double], order: Int) -> [Float] {
        var matrix = [Float](repeating: 0, count: order * order)
        for row in 0..<order {
            for column in row..<order {
                matrix[row * order + column] = Float(
                    (0...row).reduce(0) { $0 + u[$1 * order + row] * u[$1 * order + column] })
            }
        }
        return matrix
    }

    /// The solution of `Uᵀ U z = x` by substitution in Double.
    private static func solution(_ u: [Double], _ x: [Double]) -> [Double] {
        var z = x
        for row in z.indices {
            for inner in 0..<row { z[row] -= u[inner * x.count + row] * z[inner] }
            z[row] /= u[row * x.count + row]
        }
        for row in z.indices.reversed() {
            for inner in (row + 1)..<x.count { z[row] -= u[row * x.count + inner] * z[inner] }
            z[row] /= u[row * x.count + row]
        }
        return z
    }

    @Test("solves systems to Float32's precision where BF16 holds the factor", arguments: orders, [1, 2, 6, 8, 9])
    func solves(order: Int, sides: Int) throws {
        var generator = SplitMix64(seed: 4)
        var u = [Double](repeating: 0, count: order * order)
        for row in 0..<order {
            // Five digits, so that rounding to eight finds them again.
            for column in row..<order {
                u[row * order + column] = Double(Int.random(in: -16...16, using: &generator)) / 256
            }
            u[row * order + row] = 1 + Double(row % 3)
        }
        let factor = try #require(CholeskyFactor(upper: Self.product(of: u, order: order), order: order))
        let right = Self.random(sides * order, seed: 5)
        var found = right
        factor.solve(&found)
        for side in 0..<sides {
            let own = (side * order)..<((side + 1) * order)
            let expected = Self.solution(u, right[own].map(Double.init))
            let largest = expected.map(abs).max() ?? 0
            for (value, exact) in zip(found[own], expected) { #expect(abs(Double(value) - exact) <= 1e-4 * largest) }
        }
    }

    @Test("solves systems about, symmetrically, with positive curvature", arguments: orders)
    func preconditions(order: Int) throws {
        let a = Self.random(3 * order * order, seed: 6)
        var matrix = [Float](repeating: 0, count: order * order)
        BLAS.addSecondMoment(of: a, rows: 3 * order, width: order, scale: 1, into: &matrix)
        let factor = try #require(CholeskyFactor(upper: matrix, order: order))
        let sides = Self.random(2 * order, seed: 7)
        var solved = sides
        factor.solve(&solved)
        func dot(_ left: ArraySlice<Float>, _ right: ArraySlice<Float>) -> Double {
            zip(left, right).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let products = [
            dot(sides[..<order], solved[order...]), dot(sides[order...], solved[..<order]),
            dot(sides[..<order], solved[..<order]), dot(sides[order...], solved[order...]),
        ]
        #expect(products[2] > 0 && products[3] > 0)
        // It errs by BF16's rounding, but by the same in both.
        #expect(abs(products[0] - products[1]) <= 1e-4 * (products[2] * products[3]).squareRoot())
        for side in 0..<2 {
            for row in 0..<order {
                let back = (0..<order).reduce(0.0) {
                    $0 + Double(matrix[min(row, $1) * order + max(row, $1)]) * Double(solved[side * order + $1])
                }
                #expect(abs(back - Double(sides[side * order + row])) <= 0.05)
            }
        }
    }

    @Test("is refused where a matrix is not positive definite", arguments: orders)
    func refuses(order: Int) {
        var matrix = [Float](repeating: 0, count: order * order)
        for row in 0..<order { matrix[row * order + row] = 1 }
        #expect(CholeskyFactor(upper: matrix, order: order) != nil)
        matrix[order * order - 1] = -1
        #expect(CholeskyFactor(upper: matrix, order: order) == nil)
    }
}
