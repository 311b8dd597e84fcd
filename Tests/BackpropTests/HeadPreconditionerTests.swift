import LinearAlgebra
import Statistics
import Testing

@testable import Backprop

@Suite("The preconditioner of a linear head")
struct HeadPreconditionerTests {
    /// Rows whose neighbouring features are alike, with labels that have something to do with them.
    private static func problem(
        rows: Int, width: Int, classes: Int, seed: UInt64
    ) -> (features: DenseRows, labels: [Int32]) {
        var generator = SplitMix64(seed: seed)
        var values: [Float] = []
        var labels: [Int32] = []
        for _ in 0..<rows {
            let common = Float.random(in: -1...1, using: &generator)
            var last: Float = 0
            let start = values.count
            for _ in 0..<width {
                last = 0.7 * last + 0.3 * common + .random(in: -1...1, using: &generator)
                values.append(last)
            }
            let scores = (0..<classes).map { values[start + 7 * $0 % width] + .random(in: -1...1, using: &generator) }
            labels.append(Int32(scores.indices.max { scores[$0] < scores[$1] }!))
        }
        return (DenseRows(values: values, width: width), labels)
    }

    /// The Hessian's blocks at zero for two classes, times their number's root, by definition: [width, width].
    private static func blocks(_ features: DenseRows, blockWidth: Int, l2: Double) -> [[Double]] {
        let scaling = Standardization(of: features, threads: 1)
        let width = features.width
        let rows = (0..<features.rowCount).map { row in
            (0..<width).map { column in
                (Double(features.values[row * width + column]) - Double(scaling.mean[column]))
                    * Double(scaling.inverseDeviation[column])
            }
        }
        let root = Double((width + blockWidth - 1) / blockWidth).squareRoot()
        return (0..<width).map { i in
            (0..<width).map { j in
                guard i / blockWidth == j / blockWidth else { return 0 }
                // p (1 - p) / (C - 1) summed over two classes.
                let moment = rows.reduce(0) { $0 + $1[i] * $1[j] } * 0.5 / Double(rows.count)
                return root * moment + (i == j ? l2 : 0)
            }
        }
    }

    @Test("is the inverse of the Hessian at zero, or where it is rough that of its blocks", arguments: [false, true])
    func inverse(isRough: Bool) {
        let (width, rows) = (150, 900)
        let (features, labels) = Self.problem(rows: rows, width: width, classes: 2, seed: 1)
        let objective = LinearHeadObjective(
            features: features, targets: HeadTargets(labels: labels), loss: CrossEntropyLoss(), outputCount: 2,
            standardization: Standardization(of: features, threads: 1), threads: 2)
        let zero = LinearParameters(classCount: 2, width: width)
        let preconditioner = HeadPreconditioner(of: objective, at: .init(parameters: zero, l2: 0.1), isRough: isRough)
        let matrix = Self.blocks(
            features, blockWidth: isRough ? HeadPreconditioner.roughBlockWidth : width, l2: 0.1)
        // A vector times the matrix comes back.
        var generator = SplitMix64(seed: 2)
        let expected = (0..<width).map { _ in Double.random(in: -1...1, using: &generator) }
        let product = matrix.map { row in zip(row, expected).reduce(0) { $0 + $1.0 * $1.1 } }
        let found = preconditioner.apply(product + [0] + product.map { -$0 } + [0])
        // The second moment may be one of BF16.
        #expect(relativeDistance(Array(found[..<width]), expected) < 0.02)
        #expect(found[width] == 0)
    }

    @Test("leads to the same optimum from zero, where it is rough at first, as from elsewhere", arguments: [2, 4])
    func roughStart(classes: Int) throws {
        let width = 2 * HeadPreconditioner.roughBlockWidth + 20
        let (features, labels) = Self.problem(rows: 1200, width: width, classes: classes, seed: 3)
        let rows = LabelledRows(features: features, labels: labels)
        let settings = TrainingSettings(optimizer: .lbfgs(LBFGSSettings(tolerance: 1e-12)), l2: [1e-2])
        let trainer = HeadTrainer(settings: settings, threads: 2)
        let fromZero = trainer.train(rows, tune: rows, classCount: classes)
        var other = fromZero.head
        if case .linear(var head) = other {
            for index in head.weight.indices { head.weight[index] *= 0.3 }
            other = .linear(head)
        }
        let fromElsewhere = trainer.train(rows, tune: rows, classCount: classes, initial: other)
        #expect(fromZero.choice.converged && fromElsewhere.choice.converged)
        #expect(abs(fromZero.choice.objective - fromElsewhere.choice.objective) <= 1e-7 * fromZero.choice.objective)
        #expect(fromZero.choice.evaluations < 60)
    }
}
