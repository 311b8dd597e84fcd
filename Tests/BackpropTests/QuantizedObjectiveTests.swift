import LinearAlgebra
import Ranks
import Statistics
import TestSupport
import Testing

@testable import Backprop

@Suite(
    "The objective on rounded rows", .enabled(if: QuantizedRows.isAvailable, "the processor has matrix instructions"))
struct QuantizedObjectiveTests {
    /// Rows of some classes around their means, with features of other scales and offsets.
    private struct Problem {
        let rows: DenseRows
        let labels: [Int32]
        let classes: Int

        init(rows count: Int, width: Int, classes: Int, outlier: Float = 0) {
            var generator = SplitMix64(seed: 1)
            self.classes = classes
            let own = (0..<count).map { _ in Int32.random(in: 0..<Int32(classes), using: &generator) }
            var values: [Float] = []
            for row in 0..<count {
                for column in 0..<width {
                    let mean: Float = column % classes == Int(own[row]) ? 1 : 0
                    var value = mean + Float.random(in: -1.5...1.5, using: &generator)
                    if column == 1, row % 500 == 7 { value += outlier }
                    values.append(Float(column % 3) - 1 + value * Float(1 + column % 5))
                }
            }
            labels = own
            rows = DenseRows(values: values, width: width)
        }

        var standardization: Standardization { Standardization(of: rows, threads: 1) }

        func objective(
            loss: any HeadLoss = CrossEntropyLoss(), threads: Int = 1, ranks: any Communicator = OneProcess()
        ) -> LinearHeadObjective {
            LinearHeadObjective(
                features: rows, targets: HeadTargets(labels: labels), loss: loss, outputCount: classes,
                standardization: standardization, threads: threads, ranks: ranks)
        }

        func point(seed: UInt64, size: Double = 0.3) -> LinearHeadObjective.Point {
            var generator = SplitMix64(seed: seed)
            var parameters = LinearParameters(classCount: classes, width: rows.width)
            for index in parameters.values.indices {
                parameters.values[index] = .random(in: -size...size, using: &generator)
            }
            return .init(parameters: parameters, l2: 0.01)
        }
    }

    @Test(
        "has the value and gradient of the plain reference on rows rounded likewise", arguments: [3, 6, 9, 13],
        [20, 700])
    func agreesWithNaive(classes: Int, rowCount: Int) throws {
        let problem = Problem(rows: rowCount, width: 45, classes: classes)
        let rounded = try #require(QuantizedObjective(of: problem.objective()))
        let (down, up) = problem.standardization.steps(range: 127)
        let rows = (0..<rowCount).map { row in
            (0..<45).map { column in
                let value = (problem.rows.values[row * 45 + column] - down.mean[column]) * down.inverseDeviation[column]
                return Double(value.rounded(.toNearestOrEven)) * Double(up.inverseDeviation[column])
            }
        }
        let point = problem.point(seed: 2)
        let found = rounded.evaluate(point)
        let naive = naiveLinearHeadGradient(
            features: rows, labels: problem.labels, parameters: point.parameters, l2: point.l2)
        #expect(abs(found.value - naive.value) <= LinearHeadObjectiveTests.floatPrecision * naive.value)
        #expect(relativeDistance(found.gradient, naive.gradient) <= LinearHeadObjectiveTests.floatPrecision)
    }

    @Test("is near the objective itself, and so is its curvature along a step")
    func isNear() throws {
        let problem = Problem(rows: 2000, width: 60, classes: 5)
        let objective = problem.objective()
        let rounded = try #require(QuantizedObjective(of: objective))
        let point = problem.point(seed: 3)
        var other = point
        let step = problem.point(seed: 4, size: 0.01).parameters.values
        other.parameters.values = zip(point.parameters.values, step).map { $0 + $1 }
        let exact = objective.evaluate([point, other])
        let about = [rounded.evaluate(point), rounded.evaluate(other)]
        #expect(abs(about[0].value - exact[0].value) <= 1e-3 * exact[0].value)
        #expect(relativeDistance(about[0].gradient, exact[0].gradient) <= 1e-2)
        let changes = [exact, about].map { zip($0[1].gradient, $0[0].gradient).map { $0 - $1 } }
        #expect(relativeDistance(changes[1], changes[0]) <= 1e-2)
    }

    @Test("has the same bits for any number of threads and ranks")
    func sameBits() throws {
        let problem = Problem(rows: 5000, width: 33, classes: 4)
        let point = problem.point(seed: 5)
        let alone = try #require(QuantizedObjective(of: problem.objective())).evaluate(point)
        for threads in [2, 3] {
            let other = try #require(QuantizedObjective(of: problem.objective(threads: threads))).evaluate(point)
            #expect(other.value == alone.value && other.gradient == alone.gradient)
        }
        // Five chunks: of seven ranks two have none.
        for count in [2, 3, 7] {
            let values = ThreadRanks.run(count) { own in
                QuantizedObjective(of: problem.objective(threads: 2, ranks: own))?.evaluate(point)
            }
            for value in values { #expect(value?.value == alone.value && value?.gradient == alone.gradient) }
        }
    }

    @Test(
        "leads L-BFGS to the optimum of the objective itself, even where a feature's outliers leave no digit of it",
        arguments: [
            Float(0), 1e2, 1e5,
        ])
    func leads(outlier: Float) throws {
        let problem = Problem(rows: 3000, width: 20, classes: 3, outlier: outlier)
        let objective = problem.objective()
        let rounded = try #require(QuantizedObjective(of: objective))
        func minimize(hasApproximation: Bool) -> (optimizer: LBFGS, exact: Int) {
            var point = problem.point(seed: 6)
            point.parameters = LinearParameters(classCount: 3, width: 20)
            var preconditioner = AnchoredPreconditioner(of: objective, l2: point.l2)
            var optimizer = LBFGS(start: point.parameters.values, hasApproximation: hasApproximation)
            var exact = 0
            while !optimizer.isFinished {
                point.parameters.values = optimizer.point
                let isExact = !optimizer.wantsApproximation
                if isExact { exact += 1 }
                let found = isExact ? objective.evaluate([point])[0] : rounded.evaluate(point)
                optimizer.observe(value: found.value, gradient: found.gradient) { preconditioner.apply($0, at: $1) }
            }
            return (optimizer, exact)
        }
        let (alone, together) = (minimize(hasApproximation: false), minimize(hasApproximation: true))
        #expect(together.optimizer.ending == .converged)
        #expect(abs(together.optimizer.value - alone.optimizer.value) <= 1e-7 * alone.optimizer.value)
        #expect(together.exact <= 5)
    }

    @Test("is left out where it would not help, or is another one")
    func isLeftOut() {
        #expect(QuantizedObjective(of: Problem(rows: 100, width: 10, classes: 2).objective()) == nil)
        let problem = Problem(rows: 100, width: 10, classes: 3)
        #expect(QuantizedObjective(of: problem.objective()) != nil)
        #expect(QuantizedObjective(of: problem.objective(loss: CrossEntropyLoss(smoothing: 0.1))) == nil)
    }

    @Test(
        "is left out where rounded rows would take more than 16 MiB, which narrow ones do sooner",
        arguments: [
            (4096, 4096, true), (4097, 4096, false), (524_288, 1, true), (524_289, 1, false),
        ])
    func isLeftOutWhereLarge(rows: Int, width: Int, isThere: Bool) {
        let large = LinearHeadObjective(
            features: DenseRows(values: [Float](repeating: 1, count: rows * width), width: width),
            targets: HeadTargets(labels: (0..<Int32(rows)).map { $0 % 3 }), loss: CrossEntropyLoss(), outputCount: 3,
            standardization: Standardization(of: DenseRows(values: [Float](repeating: 1, count: width), width: width)),
            threads: 2)
        #expect((QuantizedObjective(of: large) != nil) == isThere)
    }
}
