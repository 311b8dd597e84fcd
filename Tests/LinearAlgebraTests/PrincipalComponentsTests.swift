import Statistics
import Testing

@testable import LinearAlgebra

/// Eigenvalues (descending) and eigenvectors (rows) of a symmetric matrix by cyclic Jacobi rotations in Double: slow,
/// and simple enough to trust.
private func jacobiEigen(_ matrix: [Double], size: Int) -> (values: [Double], vectors: [[Double]]) {
    var a = matrix
    var v = (0..<size).map { row in (0..<size).map { $0 == row ? 1.0 : 0 } }
    for _ in 0..<60 {
        for p in 0..<size {
            for q in (p + 1)..<max(size, p + 1) where abs(a[p * size + q]) > 1e-300 {
                let theta = (a[q * size + q] - a[p * size + p]) / (2 * a[p * size + q])
                let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
                let c = 1 / (t * t + 1).squareRoot()
                let s = t * c
                for k in 0..<size {
                    let (x, y) = (a[k * size + p], a[k * size + q])
                    a[k * size + p] = c * x - s * y
                    a[k * size + q] = s * x + c * y
                }
                for k in 0..<size {
                    let (x, y) = (a[p * size + k], a[q * size + k])
                    a[p * size + k] = c * x - s * y
                    a[q * size + k] = s * x + c * y
                    let (z, w) = (v[p][k], v[q][k])
                    v[p][k] = c * z - s * w
                    v[q][k] = s * z + c * w
                }
            }
        }
    }
    let order = (0..<size).sorted { a[$0 * size + $0] > a[$1 * size + $1] }
    return (order.map { a[$0 * size + $0] }, order.map { v[$0] })
}

@Suite("Eigenvalues of symmetric matrices")
struct SymmetricEigenTests {
    @Test("knows a matrix that can be solved by hand")
    func byHand() {
        // Eigenvalues 3 and 1 along (1, 1) and (1, -1); the lower triangle is not read.
        let eigen = SymmetricEigen(upperTriangle: [2, 1, .greatestFiniteMagnitude, 2], size: 2)
        let half = Float(0.5).squareRoot()
        for (value, expected) in zip(eigen.values + eigen.vectors.map(abs), [3, 1, half, half, half, half]) {
            #expect(abs(value - expected) <= 4 * expected.ulp)
        }
        #expect(eigen.vectors[0] > 0 && eigen.vectors[1] > 0)
        #expect(eigen.vectors[2] * eigen.vectors[3] < 0)
        #expect(SymmetricEigen(upperTriangle: [-4], size: 1).values == [-4])
    }

    @Test(
        "rebuilds the matrix from orthonormal vectors whose largest entry is positive", arguments: [1, 2, 5, 33, 120])
    func rebuilds(size: Int) {
        var generator = SplitMix64(seed: UInt64(size))
        var matrix = [Float](repeating: 0, count: size * size)
        for row in 0..<size {
            for column in row..<size {
                let value = Float.random(in: -1...1, using: &generator)
                matrix[row * size + column] = value
                matrix[column * size + row] = value
            }
        }
        let eigen = SymmetricEigen(upperTriangle: matrix, size: size)
        #expect(zip(eigen.values, eigen.values.dropFirst()).allSatisfy(>=))
        // Backward error of LAPACK: a small multiple of size * ulp * norm; the norm is below 2 sqrt(size) + 1.
        let tolerance = 4 * Double(size) * Double(Float.ulpOfOne) * (2 * Double(size).squareRoot() + 1)
        for row in 0..<size {
            let vector = eigen.vectors[(row * size)..<((row + 1) * size)]
            let largest = vector.max { abs($0) < abs($1) }!
            #expect(largest > 0)
            for other in row..<size {
                let product = zip(vector, eigen.vectors[(other * size)...]).reduce(0) {
                    $0 + Double($1.0) * Double($1.1)
                }
                #expect(abs(product - (row == other ? 1 : 0)) <= tolerance)
                let rebuilt = (0..<size).reduce(0.0) { sum, index in
                    sum + Double(eigen.values[index]) * Double(eigen.vectors[index * size + row])
                        * Double(eigen.vectors[index * size + other])
                }
                #expect(abs(rebuilt - Double(matrix[row * size + other])) <= tolerance)
            }
        }
    }
}

@Suite("Principal components")
struct PrincipalComponentsTests {
    private static let width = 11
    private static let rowCount = 700
    /// Where the constant dimension is.
    private static let constant = 4

    /// [rowCount, width]: three hidden causes of falling strength, noise, scales from 0.1 to 30, means that are not 0,
    /// and one constant dimension.
    private static let data: [Float] = {
        var generator = SplitMix64(seed: 9)
        func noise() -> Double { (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &generator) } }
        let loadings = (0..<width).map { _ in (0..<3).map { _ in noise() } }
        var values: [Float] = []
        for _ in 0..<rowCount {
            let causes = [2 * noise(), noise(), 0.5 * noise()]
            for dimension in 0..<width {
                let cause = zip(causes, loadings[dimension]).reduce(0) { $0 + $1.0 * $1.1 }
                let scale = [0.1, 1, 30, 5][dimension % 4]
                values.append(dimension == constant ? 5.3 : Float(scale * (cause + 0.4 * noise() + 3)))
            }
        }
        return values
    }()

    private static func fit(_ count: Int) -> PrincipalComponents {
        PrincipalComponents(count: count, rowCount: rowCount, width: width) { rows, target in
            for (index, row) in rows.enumerated() {
                for dimension in 0..<width { target[index * width + dimension] = data[row * width + dimension] }
            }
        }
    }

    /// Means, deviations, and eigenvalues and eigenvectors of the correlation matrix, all in Double.
    private static let reference: (means: [Double], deviations: [Double], values: [Double], vectors: [[Double]]) = {
        let columns = (0..<width).map { dimension in (0..<rowCount).map { Double(data[$0 * width + dimension]) } }
        let means = columns.map { $0.reduce(0, +) / Double(rowCount) }
        let deviations = zip(columns, means).map { column, mean in
            (column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rowCount)).squareRoot()
        }
        let standardised = (0..<width).map { dimension in
            columns[dimension].map {
                dimension == constant ? 0 : ($0 - means[dimension]) / deviations[dimension]
            }
        }
        var correlation = [Double](repeating: 0, count: width * width)
        for row in 0..<width {
            for column in 0..<width {
                correlation[row * width + column] =
                    zip(standardised[row], standardised[column]).reduce(0) { $0 + $1.0 * $1.1 } / Double(rowCount)
            }
        }
        let eigen = jacobiEigen(correlation, size: width)
        return (means, deviations, eigen.values, eigen.vectors)
    }()

    /// Float32 sums of a block of rows, relative to numbers of size 1.
    private static let tolerance = Double(PrincipalComponents.blockRows) * Double(Float.ulpOfOne)

    @Test("standardises as the mean and the deviation of the population do")
    func standardises() {
        let components = Self.fit(3)
        for dimension in 0..<Self.width {
            let mean = Self.reference.means[dimension]
            #expect(abs(Double(components.offset[dimension]) - mean) <= Double(Float(mean).ulp))
            if dimension == Self.constant {
                #expect(components.scale[dimension] == 0)
                #expect(components.offset[dimension] == 5.3)
            } else {
                let product = Double(components.scale[dimension]) * Self.reference.deviations[dimension]
                #expect(abs(product - 1) <= Self.tolerance)
            }
        }
        #expect(components.totalVariance == Float(Self.width - 1))
    }

    @Test("finds the directions and variances that slow Jacobi rotations find", arguments: [1, 4, width])
    func matchesReference(count: Int) {
        let components = Self.fit(count)
        #expect(components.count == count)
        for index in 0..<count {
            #expect(abs(Double(components.variances[index]) - Self.reference.values[index]) <= 4 * Self.tolerance)
            let direction = components.directions[(index * Self.width)..<((index + 1) * Self.width)].map(Double.init)
            let cosine = zip(direction, Self.reference.vectors[index]).reduce(0) { $0 + $1.0 * $1.1 }
            // A vector turns by at most the error of the matrix over the distance to the next eigenvalue.
            let gap = Self.reference.values.indices.filter { $0 != index }
                .map { abs(Self.reference.values[$0] - Self.reference.values[index]) }.min()!
            let angle = 4 * Self.tolerance / gap
            #expect(1 - abs(cosine) <= angle * angle + 8 * Double(Float.ulpOfOne))
        }
        let kept = Self.reference.values.prefix(count).reduce(0, +) / Double(Self.width - 1)
        #expect(abs(components.keptVariance - kept) <= 4 * Self.tolerance)
    }

    @Test("gives scores that are uncorrelated and have the eigenvalues as variances")
    func scores() {
        let components = Self.fit(4)
        let projection = components.projection
        let scores = (0..<Self.rowCount).map { row in
            (0..<4).map { index in
                (0..<Self.width).reduce(0.0) { sum, dimension in
                    let centred = Double(Self.data[row * Self.width + dimension]) - Self.reference.means[dimension]
                    return sum + Double(projection[index * Self.width + dimension]) * centred
                }
            }
        }
        for first in 0..<4 {
            for second in 0..<4 {
                let product = scores.reduce(0) { $0 + $1[first] * $1[second] } / Double(Self.rowCount)
                let expected = first == second ? Double(components.variances[first]) : 0
                #expect(abs(product - expected) <= 8 * Self.tolerance * Self.reference.values[0])
            }
        }
    }

    @Test("takes a dimension for constant when it varies by dust only, compared with the others")
    func dust() {
        func scale(_ small: Float) -> [Float] {
            PrincipalComponents(count: 1, rowCount: 4, width: 2) { rows, target in
                for (index, row) in rows.enumerated() {
                    target[2 * index] = row < 2 ? 1 : -1
                    target[2 * index + 1] = row % 2 == 0 ? small : -small
                }
            }.scale
        }
        // The typical deviation is the root mean square, here sqrt(1 / 2); the limit is 2^-11 of it.
        let limit = 0x1p-11 * Float(0.5).squareRoot()
        #expect(scale(0.99 * limit) == [1, 0])
        #expect(scale(1.01 * limit)[1] > 0)
    }

    @Test("keeps nothing of data that does not vary")
    func constantData() {
        let components = PrincipalComponents(count: 2, rowCount: 5, width: 3) { rows, target in
            for index in 0..<(3 * rows.count) { target[index] = 0.1 }
        }
        #expect(components.scale == [0, 0, 0] && components.projection == [0, 0, 0, 0, 0, 0])
        #expect(components.variances == [0, 0] && components.keptVariance == 1)
    }
}
