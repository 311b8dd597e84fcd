import Foundation
import Statistics
import Testing

@testable import Backprop

@Suite("The scaling of a preconditioner by directions of the classes")
struct ClassScalingTests {
    /// Logits of rows of which some classes are rare.
    private static func logits(rows: Int, classes: Int) -> [[Float]] {
        var generator = SplitMix64(seed: 1)
        return (0..<rows).map { _ in
            (0..<classes).map { Float.random(in: -2...2, using: &generator) - 1.5 * Float($0) }
        }
    }

    /// `w (diag(p) - p pᵀ)` summed over rows in Double, w what makes the trace `curvature (C - 1)`.
    private static func naiveSum(_ logits: [[Float]], curvatures: [Double]) -> [[Double]] {
        let classes = logits[0].count
        var sum = [[Double]](repeating: Array(repeating: 0, count: classes), count: classes)
        for (row, curvature) in zip(logits, curvatures) {
            let exponentials = row.map { exp(Double($0)) }
            let total = exponentials.reduce(0, +)
            let p = exponentials.map { $0 / total }
            let trace = 1 - p.reduce(0) { $0 + $1 * $1 }
            for i in 0..<classes {
                for j in 0..<classes {
                    sum[i][j] += curvature * Double(classes - 1) / trace * ((i == j ? p[i] : 0) - p[i] * p[j])
                }
            }
        }
        return sum
    }

    private static func product(_ a: [[Double]], _ b: [[Double]]) -> [[Double]] {
        a.map { row in b[0].indices.map { column in zip(row, b).reduce(0) { $0 + $1.0 * $1.1[column] } } }
    }

    @Test("adds up rows' matrices with the curvature that each is said to have", arguments: [3, 6, 17])
    func sum(classes: Int) {
        let logits = Self.logits(rows: 50, classes: classes)
        let curvatures = logits.indices.map { 0.1 + Double($0 % 5) }
        var sum = ClassScaling.Sum(classCount: classes)
        for (row, curvature) in zip(logits, curvatures) { sum.add(logits: row, meanCurvature: curvature) }
        let naive = Self.naiveSum(logits, curvatures: curvatures)
        for i in 0..<classes {
            for j in i..<classes { #expect(abs(sum.total[i * classes + j] - naive[i][j]) <= 1e-6 * naive[0][0]) }
        }
    }

    @Test("is the inverse of the square root of their mean, over its mean curvature, and leaves a common shift alone")
    func inverse() {
        let classes = 5
        let logits = Self.logits(rows: 200, classes: classes)
        let naive = Self.naiveSum(logits, curvatures: logits.map { _ in 1 })
        let scaling = ClassScaling(ofMean: naive.flatMap { $0 }, classCount: classes)
        let matrix = (0..<classes).map { Array(scaling.inverse[($0 * classes)..<(($0 + 1) * classes)]) }
        // Its square undoes A on vectors that sum to zero.
        let average = (0..<classes).reduce(0) { $0 + naive[$1][$1] } / Double(classes - 1)
        let undone = Self.product(Self.product(matrix, matrix), naive.map { $0.map { $0 / average } })
        for i in 0..<classes {
            for j in 0..<classes {
                #expect(abs(undone[i][j] - ((i == j ? 1 : 0) - 1 / Double(classes))) < 1e-4)
                #expect(abs(matrix[i][j] - matrix[j][i]) < 1e-6)
            }
            #expect(abs(matrix[i].reduce(0, +) - 1) < 1e-5)
        }
    }

    @Test("stays within bounds where a class is never mistaken for another, and changes nothing where all are alike")
    func extremes() {
        var certain = ClassScaling.Sum(classCount: 3)
        certain.add(logits: [0, 0.5, -200], meanCurvature: 1)
        let scaling = ClassScaling(ofMean: certain.total, classCount: 3)
        #expect(scaling.inverse.allSatisfy { $0.isFinite && abs($0) <= 10 })
        var even = ClassScaling.Sum(classCount: 4)
        even.add(logits: [1, 1, 1, 1], meanCurvature: 0.25)
        let vector = (0..<12).map(Double.init)
        for (found, expected) in zip(ClassScaling(ofMean: even.total, classCount: 4).apply(vector), vector) {
            #expect(abs(found - expected) < 1e-4)
        }
        // Rows that are certain of one class have no direction to tell.
        var none = ClassScaling.Sum(classCount: 3)
        none.add(logits: [0, -1000, -1000], meanCurvature: 0)
        #expect(ClassScaling(ofMean: none.total, classCount: 3).inverse.allSatisfy { $0.isFinite })
    }
}
