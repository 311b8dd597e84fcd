import LinearAlgebra
import Statistics
import Testing

@testable import Backprop

@Suite("The training objective of a linear head")
struct LinearHeadObjectiveTests {
    /// Products are Float32: relative to the gradient's length, rounding of n-term sums stays below a few dozen ulps.
    static let floatPrecision = 64 * Double(Float.ulpOfOne)

    private static func objective(_ data: Golden.Case, threads: Int = 1) -> LinearHeadObjective {
        LinearHeadObjective(
            features: data.denseRows, targets: HeadTargets(labels: data.labels), loss: CrossEntropyLoss(),
            outputCount: data.classes, standardization: Standardization(of: data.denseRows, threads: 1),
            threads: threads)
    }

    /// The rows in Double, standardised as the objective does.
    private static func standardizedRows(_ data: Golden.Case) -> [[Double]] {
        let scaling = Standardization(of: data.denseRows, threads: 1)
        return (0..<data.rows).map { row in
            (0..<data.width).map { column in
                Double(
                    (data.features[row * data.width + column] - scaling.mean[column]) * scaling.inverseDeviation[column]
                )
            }
        }
    }

    @Test("has the value and gradient that PyTorch finds")
    func agreesWithPyTorch() throws {
        for data in try Golden.read().cases {
            for golden in data.gradients {
                let parameters = LinearParameters(weight: golden.weight, bias: golden.bias)
                let found = Self.objective(data).evaluate([.init(parameters: parameters, l2: golden.l2)])[0]
                let expected = LinearParameters(weight: golden.weightGradient, bias: golden.biasGradient)
                #expect(abs(found.value - golden.objective) <= Self.floatPrecision * golden.objective)
                #expect(relativeDistance(found.gradient, expected.values) <= Self.floatPrecision)
            }
        }
    }

    @Test("has the gradient of the plain reference")
    func agreesWithNaive() throws {
        for data in try Golden.read().cases {
            let rows = Self.standardizedRows(data)
            for golden in data.gradients {
                let parameters = LinearParameters(weight: golden.weight, bias: golden.bias)
                let found = Self.objective(data).evaluate([.init(parameters: parameters, l2: golden.l2)])[0]
                let naive = naiveLinearHeadGradient(
                    features: rows, labels: data.labels, parameters: parameters, l2: golden.l2)
                #expect(abs(found.value - naive.value) <= Self.floatPrecision * naive.value)
                #expect(relativeDistance(found.gradient, naive.gradient) <= Self.floatPrecision)
            }
        }
    }

    @Test("has a reference whose gradient is the slope of its value")
    func naiveAgreesWithFiniteDifferences() throws {
        for data in try Golden.read().cases {
            let rows = Self.standardizedRows(data)
            let golden = data.gradients[1]
            let parameters = LinearParameters(weight: golden.weight, bias: golden.bias)
            let naive = naiveLinearHeadGradient(
                features: rows, labels: data.labels, parameters: parameters, l2: golden.l2)
            let step = 1e-5
            let slopes = parameters.values.indices.map { index in
                func value(_ shift: Double) -> Double {
                    var moved = parameters
                    moved.values[index] += shift
                    return naiveLinearHeadGradient(
                        features: rows, labels: data.labels, parameters: moved, l2: golden.l2
                    ).value
                }
                return (value(step) - value(-step)) / (2 * step)
            }
            // Central differences err by O(step²) and by rounding of the value over the step.
            #expect(relativeDistance(slopes, naive.gradient) <= 1e-8)
        }
    }

    @Test("is the same for several heads in one pass as for each by itself")
    func severalHeadsAtOnce() throws {
        let data = try Golden.read().cases[1]
        let objective = Self.objective(data)
        let points = data.gradients.map {
            LinearHeadObjective.Point(parameters: LinearParameters(weight: $0.weight, bias: $0.bias), l2: $0.l2)
        }
        let together = objective.evaluate(points)
        for (point, value) in zip(points, together) {
            let alone = objective.evaluate([point])[0]
            #expect(abs(value.value - alone.value) <= Self.floatPrecision * alone.value)
            #expect(relativeDistance(value.gradient, alone.gradient) <= Self.floatPrecision)
        }
        let crossEntropies = objective.meanLoss(points.map(\.parameters))
        for (point, crossEntropy) in zip(points, crossEntropies) {
            let withoutPenalty = objective.evaluate([.init(parameters: point.parameters, l2: 0)])[0].value
            #expect(abs(crossEntropy - withoutPenalty) <= Self.floatPrecision * withoutPenalty)
        }
    }

    @Test(
        "is that of the plain reference whether means are folded into the biases or taken from the rows",
        arguments: [(0, true), (1, true), (-1, true), (3, false), (1000, false)], [2, 6])
    func offsets(offset: (mean: Float, isSmall: Bool), classes: Int) {
        var (features, targets, parameters) = Self.random(rows: 700, width: 37, classes: classes, seed: 14)
        features = DenseRows(values: features.values.map { $0 + offset.mean }, width: 37)
        let scaling = Standardization(of: features, threads: 1)
        #expect(scaling.hasSmallOffsets == offset.isSmall)
        let rows = (0..<700).map { row in
            (0..<37).map { column in
                (Double(features.values[row * 37 + column]) - Double(scaling.mean[column]))
                    * Double(scaling.inverseDeviation[column])
            }
        }
        let objective = LinearHeadObjective(
            features: features, targets: targets, loss: CrossEntropyLoss(), outputCount: classes,
            standardization: scaling, threads: 2)
        let found = objective.evaluate([.init(parameters: parameters, l2: 0.1)])[0]
        let naive = naiveLinearHeadGradient(features: rows, labels: targets.labels, parameters: parameters, l2: 0.1)
        #expect(abs(found.value - naive.value) <= Self.floatPrecision * naive.value)
        #expect(relativeDistance(found.gradient, naive.gradient) <= Self.floatPrecision)
    }

    @Test("takes means from the rows where a feature does not vary, unless it is zero")
    func constantFeature() {
        let zero = DenseRows(values: [1, 0, 2, 0, -3, 0], width: 2)
        let large = DenseRows(values: [1, 1e30, 2, 1e30, -3, 1e30], width: 2)
        #expect(Standardization(of: zero, threads: 1).hasSmallOffsets)
        #expect(!Standardization(of: large, threads: 1).hasSmallOffsets)
    }

    /// A problem of random numbers.
    private static func random(
        rows: Int, width: Int, classes: Int, seed: UInt64
    ) -> (features: DenseRows, targets: HeadTargets, parameters: LinearParameters) {
        var generator = SplitMix64(seed: seed)
        let features = (0..<(rows * width)).map { _ in Float.random(in: -1...1, using: &generator) }
        let labels = (0..<rows).map { _ in Int32.random(in: 0..<Int32(classes), using: &generator) }
        var parameters = LinearParameters(classCount: classes, width: width)
        for index in parameters.values.indices { parameters.values[index] = .random(in: -1...1, using: &generator) }
        return (DenseRows(values: features, width: width), HeadTargets(labels: labels), parameters)
    }

    @Test(
        "of a minibatch with a vocabulary of outputs is what it is without dividing the outputs, and the plain reference's",
        arguments: [(1, 3, 256), (33, 7, 300), (100, 20, 1000), (513, 5, 257)])
    func wide(rows: Int, width: Int, classes: Int) {
        let (features, targets, parameters) = Self.random(rows: rows, width: width, classes: classes, seed: 11)
        let standardization = Standardization(of: features, threads: 1)
        func objective(threads: Int) -> LinearHeadObjective {
            LinearHeadObjective(
                features: features, targets: targets, loss: CrossEntropyLoss(), outputCount: classes,
                standardization: standardization, threads: threads)
        }
        let point = LinearHeadObjective.Point(parameters: parameters, l2: 0.1)
        #expect(objective(threads: 1).isWide)
        let value = objective(threads: 1).evaluate([point])[0]
        // Two heads at once go the other way.
        let other = objective(threads: 1).evaluate([point, point])[0]
        #expect(abs(value.value - other.value) <= Self.floatPrecision * other.value)
        #expect(relativeDistance(value.gradient, other.gradient) <= Self.floatPrecision)
        for threads in [2, 5] {
            let several = objective(threads: threads).evaluate([point])[0]
            #expect(several.value == value.value && several.gradient == value.gradient)
        }
        // A loss that is not plain.
        let smooth = LinearHeadObjective(
            features: features, targets: targets, loss: CrossEntropyLoss(smoothing: 0.1), outputCount: classes,
            standardization: standardization, threads: 2)
        let (own, both) = (smooth.evaluate([point])[0], smooth.evaluate([point, point])[0])
        #expect(abs(own.value - both.value) <= Self.floatPrecision * both.value)
        #expect(relativeDistance(own.gradient, both.gradient) <= Self.floatPrecision)
    }

    @Test(
        "has the same mean loss in a pass without gradient, also where chunks are longer than blocks and outputs many")
    func meanLossOfManyRows() {
        let (features, targets, parameters) = Self.random(rows: 70_000, width: 2, classes: 40, seed: 12)
        let partition = RowPartition(rowCount: features.rowCount, width: 2)
        #expect(partition.rows(ofChunk: 0).count > partition.blockRows)
        let objective = LinearHeadObjective(
            features: features, targets: targets, loss: CrossEntropyLoss(), outputCount: 40,
            standardization: Standardization(of: features, threads: 2), threads: 2)
        let value = objective.evaluate([.init(parameters: parameters, l2: 0)])[0].value
        #expect(objective.meanLoss([parameters])[0] == value)
    }

    @Test(
        "is the same for more heads in one pass than products in place have columns as for each by itself",
        arguments: [2, 3, 25, 26])
    func manyHeadsAtOnce(classes: Int) {
        let heads = 30
        let (features, targets, first) = Self.random(rows: 150, width: 9, classes: classes, seed: 13)
        let objective = LinearHeadObjective(
            features: features, targets: targets, loss: CrossEntropyLoss(), outputCount: classes,
            standardization: Standardization(of: features, threads: 1), threads: 2)
        let points = (0..<heads).map { head in
            var parameters = first
            for index in parameters.values.indices { parameters.values[index] *= 1 - 0.05 * Double(head) }
            return LinearHeadObjective.Point(parameters: parameters, l2: 0.01 * Double(head))
        }
        let losses = objective.meanLoss(points.map(\.parameters))
        for (index, value) in objective.evaluate(points).enumerated() {
            let alone = objective.evaluate([points[index]])[0]
            #expect(abs(value.value - alone.value) <= Self.floatPrecision * alone.value)
            #expect(relativeDistance(value.gradient, alone.gradient) <= Self.floatPrecision)
            #expect(abs(losses[index] + points[index].penalty - alone.value) <= Self.floatPrecision * alone.value)
        }
    }

    @Test("does not depend on the number of threads, to the last bit")
    func threadsDoNotMatter() {
        var generator = SplitMix64(seed: 5)
        let width = 700
        let rows = 2500
        let features = (0..<(rows * width)).map { _ in Float.random(in: -1...1, using: &generator) }
        let labels = (0..<rows).map { _ in Int32.random(in: 0..<4, using: &generator) }
        let data = DenseRows(values: features, width: width)
        #expect(RowPartition(rowCount: rows, width: width).chunkCount > 3)
        var parameters = LinearParameters(classCount: 4, width: width)
        for index in parameters.values.indices { parameters.values[index] = .random(in: -1...1, using: &generator) }
        func evaluate(threads: Int) -> LinearHeadObjective.Value {
            LinearHeadObjective(
                features: data, targets: HeadTargets(labels: labels), loss: CrossEntropyLoss(), outputCount: 4,
                standardization: Standardization(of: data, threads: threads), threads: threads
            ).evaluate([.init(parameters: parameters, l2: 0.1)])[0]
        }
        let one = evaluate(threads: 1)
        for threads in [2, 3, 7] {
            let several = evaluate(threads: threads)
            #expect(several.value == one.value)
            #expect(several.gradient == one.gradient)
        }
    }

    @Test(
        "has the gradient of the plain reference at odd sizes, also of many outputs", arguments: [1, 3, 7, 769],
        [1, 2, 3, 6, 13, 257])
    func oddSizes(width: Int, classes: Int) {
        var generator = SplitMix64(seed: 3)
        for rows in [1, 2, 131] {
            // Offsets a thousand times the deviation: rows have to be centred before they are multiplied.
            let features = (0..<(rows * width)).map {
                Float($0 % width % 3) * 1000 + .random(in: -1...1, using: &generator)
            }
            let data = DenseRows(values: features, width: width)
            let labels = (0..<rows).map { _ in Int32.random(in: 0..<Int32(classes), using: &generator) }
            let scaling = Standardization(of: data, threads: 1)
            var block = features
            scaling.apply(to: &block, rows: rows)
            var parameters = LinearParameters(classCount: classes, width: width)
            for index in parameters.values.indices {
                parameters.values[index] = Double(Float.random(in: -0.1...0.1, using: &generator))
            }
            let found = LinearHeadObjective(
                features: data, targets: HeadTargets(labels: labels), loss: CrossEntropyLoss(), outputCount: classes,
                standardization: scaling, threads: 1
            ).evaluate([.init(parameters: parameters, l2: 0.2)])[0]
            let naive = naiveLinearHeadGradient(
                features: (0..<rows).map { block[($0 * width)..<(($0 + 1) * width)].map(Double.init) },
                labels: labels, parameters: parameters, l2: 0.2)
            #expect(abs(found.value - naive.value) <= Self.floatPrecision * naive.value)
            #expect(relativeDistance(found.gradient, naive.gradient) <= Self.floatPrecision)
        }
    }

    @Test("is told apart from a gradient with a planted mistake", arguments: ["sign", "mean", "penalty", "bias"])
    func mistakesAreCaught(mistake: String) throws {
        let data = try Golden.read().cases[1]
        let golden = data.gradients[1]
        var wrong = LinearParameters(weight: golden.weightGradient, bias: golden.biasGradient).values
        let parameters = LinearParameters(weight: golden.weight, bias: golden.bias)
        for index in wrong.indices {
            let isBias = index % (data.width + 1) == data.width
            switch mistake {
            case "sign": wrong[index] = -wrong[index]
            case "mean": wrong[index] *= Double(data.rows)
            case "penalty": wrong[index] -= isBias ? 0 : golden.l2 * parameters.values[index]
            default: wrong[index] += isBias ? golden.l2 * parameters.values[index] : 0
            }
        }
        let found = Self.objective(data).evaluate([.init(parameters: parameters, l2: golden.l2)])[0]
        #expect(relativeDistance(found.gradient, wrong) > 100 * Self.floatPrecision)
    }
}
