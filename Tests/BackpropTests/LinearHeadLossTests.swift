import Statistics
import Testing

@testable import Backprop

/// The mean of any loss of a linear head plus the penalty, one row at a time in Double: the reference for
/// ``LinearHeadObjective`` with losses other than the plain cross-entropy.
private func naiveHeadGradient(
    features: [[Double]], rowWeights: [Double], parameters: LinearParameters, l2: Double,
    rowLoss: (_ logits: [Double], _ row: Int) -> NaiveRowLoss
) -> (value: Double, gradient: [Double]) {
    let width = parameters.width
    var (loss, weight) = (0.0, 0.0)
    var gradient = [Double](repeating: 0, count: parameters.values.count)
    for (row, values) in features.enumerated() {
        let logits = (0..<parameters.classCount).map { output in
            let start = output * (width + 1)
            return (0..<width).reduce(parameters.values[start + width]) {
                $0 + parameters.values[start + $1] * values[$1]
            }
        }
        let own = rowLoss(logits, row)
        loss += rowWeights[row] * own.loss
        weight += rowWeights[row] * own.weight
        for output in logits.indices {
            for column in 0...width {
                let value = column == width ? 1 : values[column]
                gradient[output * (width + 1) + column] += rowWeights[row] * own.gradient[output] * value
            }
        }
    }
    for index in gradient.indices {
        let isBias = index % (width + 1) == width
        gradient[index] = gradient[index] / weight + (isBias ? 0 : l2 * parameters.values[index])
    }
    return (loss / weight + l2 / 2 * parameters.squaredWeights, gradient)
}

@Suite("The training objective of a linear head, for every loss")
struct LinearHeadLossTests {
    /// A loss, with its reference.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var loss: any HeadLoss
        var classes = 3
        var isWeighted = false
        var naive: @Sendable (_ logits: [Double], _ targets: HeadTargets, _ row: Int) -> NaiveRowLoss
    }

    private static let classWeights: [Float] = [0.5, 1, 2.5]

    private static let cases: [Case] = {
        typealias Naive = @Sendable ([Double], HeadTargets, Int) -> NaiveRowLoss
        func crossEntropy(weights: [Double], smoothing: Double) -> Naive {
            { logits, targets, row in
                naiveWeightedCrossEntropy(
                    logits: logits, label: Int(targets.labels[row]), classWeights: weights, smoothing: smoothing)
            }
        }
        @Sendable func teacher(_ targets: HeadTargets, _ row: Int) -> [Double] {
            targets.teacherLogits[(row * 3)..<(row * 3 + 3)].map(Double.init)
        }
        let plain = crossEntropy(weights: [1, 1, 1], smoothing: 0)
        let weights = classWeights.map(Double.init)
        return [
            Case(testDescription: "cross-entropy", loss: CrossEntropyLoss(), naive: plain),
            Case(
                testDescription: "cross-entropy, row weights", loss: CrossEntropyLoss(), isWeighted: true,
                naive: plain),
            Case(
                testDescription: "cross-entropy, class weights, smoothing, row weights",
                loss: CrossEntropyLoss(classWeights: classWeights, smoothing: 0.1), isWeighted: true,
                naive: crossEntropy(weights: weights, smoothing: 0.1)),
            Case(
                testDescription: "distillation", loss: DistillationLoss(temperature: 2),
                naive: { logits, targets, row in
                    naiveDistillation(logits: logits, teacher: teacher(targets, row), temperature: 2)
                }),
            Case(
                testDescription: "joint, class weights, row weights",
                loss: JointExitLoss(
                    crossEntropy: CrossEntropyLoss(classWeights: classWeights),
                    distillation: DistillationLoss(temperature: 1.5)),
                isWeighted: true,
                naive: { logits, targets, row in
                    naiveJointExit(
                        logits: logits, label: Int(targets.labels[row]), teacher: teacher(targets, row),
                        classWeights: weights, smoothing: 0, temperature: 1.5)
                }),
            Case(
                testDescription: "squared error, row weights", loss: SquaredErrorLoss(), classes: 1, isWeighted: true,
                naive: { logits, targets, row in
                    naiveSquaredError(output: logits[0], value: Double(targets.values[row]))
                }),
        ]
    }()

    private struct Problem {
        let objective: LinearHeadObjective
        let rows: [[Double]]
        let rowWeights: [Double]
        let point: LinearHeadObjective.Point

        init(_ form: Case, rowCount: Int = 300, width: Int = 11, threads: Int = 1) {
            var generator = SplitMix64(seed: 9)
            func random(_ count: Int) -> [Float] {
                (0..<count).map { _ in .random(in: -2...2, using: &generator) }
            }
            let features = DenseRows(values: random(rowCount * width), width: width)
            let rowWeights = form.isWeighted ? random(rowCount).map { max(0, $0) } : []
            let targets = HeadTargets(
                labels: (0..<rowCount).map { _ in Int32.random(in: 0..<Int32(form.classes), using: &generator) },
                teacherLogits: random(rowCount * form.classes), values: random(rowCount), rowWeights: rowWeights)
            let scaling = Standardization(of: features, threads: 1)
            objective = LinearHeadObjective(
                features: features, targets: targets, loss: form.loss, outputCount: form.classes,
                standardization: scaling, threads: threads)
            var block = features.values
            scaling.apply(to: &block, rows: rowCount)
            rows = (0..<rowCount).map { row in block[(row * width)..<((row + 1) * width)].map(Double.init) }
            self.rowWeights = form.isWeighted ? rowWeights.map(Double.init) : rows.map { _ in 1 }
            var parameters = LinearParameters(classCount: form.classes, width: width)
            for index in parameters.values.indices {
                parameters.values[index] = Double(Float.random(in: -0.5...0.5, using: &generator))
            }
            point = .init(parameters: parameters, l2: 0.3)
        }

        func naive(_ form: Case) -> (value: Double, gradient: [Double]) {
            naiveHeadGradient(features: rows, rowWeights: rowWeights, parameters: point.parameters, l2: point.l2) {
                form.naive($0, objective.targets, $1)
            }
        }
    }

    @Test("has value and gradient of the plain reference", arguments: cases)
    func agreesWithNaive(form: Case) {
        let problem = Problem(form)
        let found = problem.objective.evaluate([problem.point])[0]
        let naive = problem.naive(form)
        let precision = LinearHeadObjectiveTests.floatPrecision
        #expect(abs(found.value - naive.value) <= precision * naive.value)
        #expect(relativeDistance(found.gradient, naive.gradient) <= precision)
        let mean = problem.objective.meanLoss([problem.point.parameters])[0]
        let penalty = problem.point.l2 / 2 * problem.point.parameters.squaredWeights
        #expect(abs(mean + penalty - naive.value) <= precision * naive.value)
    }

    @Test("has a reference whose gradient is the slope of its value", arguments: cases)
    func naiveAgreesWithFiniteDifferences(form: Case) {
        let problem = Problem(form, rowCount: 40, width: 3)
        let step = 1e-5
        let slopes = problem.point.parameters.values.indices.map { index in
            func value(_ shift: Double) -> Double {
                var moved = problem.point.parameters
                moved.values[index] += shift
                return naiveHeadGradient(
                    features: problem.rows, rowWeights: problem.rowWeights, parameters: moved, l2: problem.point.l2
                ) { form.naive($0, problem.objective.targets, $1) }.value
            }
            return (value(step) - value(-step)) / (2 * step)
        }
        #expect(relativeDistance(slopes, problem.naive(form).gradient) <= 1e-8)
    }

    @Test("is minimised with its preconditioner to where the gradient vanishes", arguments: cases)
    func minimum(form: Case) {
        let problem = Problem(form)
        var point = problem.point
        var preconditioner = AnchoredPreconditioner(of: problem.objective, l2: point.l2)
        var optimizer = LBFGS(start: point.parameters.values, tolerance: 1e-12)
        while !optimizer.isFinished {
            point.parameters.values = optimizer.point
            let value = problem.objective.evaluate([point])[0]
            optimizer.observe(value: value.value, gradient: value.gradient) { preconditioner.apply($0, at: $1) }
        }
        #expect(optimizer.ending != .evaluations)
        #expect(optimizer.evaluations < 30)
        point.parameters.values = optimizer.point
        let naive = naiveHeadGradient(
            features: problem.rows, rowWeights: problem.rowWeights, parameters: point.parameters, l2: point.l2
        ) { form.naive($0, problem.objective.targets, $1) }
        #expect(dot(naive.gradient, naive.gradient).squareRoot() < 1e-5)
    }

    @Test("does not depend on the number of threads, to the last bit", arguments: cases)
    func threadsDoNotMatter(form: Case) {
        let one = Problem(form, rowCount: 1500, width: 600)
        let several = Problem(form, rowCount: 1500, width: 600, threads: 3)
        let (left, right) = (one.objective.evaluate([one.point])[0], several.objective.evaluate([one.point])[0])
        #expect(left.value == right.value)
        #expect(left.gradient == right.gradient)
    }

    @Test("of rows without weight in them is that of the other rows")
    func zeroWeights() {
        let form = Self.cases[1]
        let problem = Problem(form)
        let counted = problem.rowWeights.indices.filter { problem.rowWeights[$0] > 0 }
        let naive = naiveHeadGradient(
            features: counted.map { problem.rows[$0] }, rowWeights: counted.map { problem.rowWeights[$0] },
            parameters: problem.point.parameters, l2: problem.point.l2
        ) { form.naive($0, problem.objective.targets, counted[$1]) }
        #expect(counted.count < problem.rows.count)
        let found = problem.objective.evaluate([problem.point])[0]
        #expect(relativeDistance(found.gradient, naive.gradient) <= LinearHeadObjectiveTests.floatPrecision)
    }
}
