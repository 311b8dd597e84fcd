import ExitHeads
import Foundation
import LinearAlgebra
import Statistics
import Testing

@testable import Backprop

@Suite("The gradient of a hidden head")
struct HiddenHeadKernelTests {
    /// Products are Float32: relative to the length of each part of the gradient, every product on the way there and back
    /// and every activation adds about an ulp on sums as short as these.
    static let floatPrecision = 8 * Double(Float.ulpOfOne)

    /// A head and rows to try it on.
    struct Problem: CustomTestStringConvertible, Sendable {
        var activation: Activation
        var hasLayerNorm: Bool
        var drops: Bool
        var rows = 40
        var width = 11
        var hidden = 6
        var classes = 3

        static let all = Activation.allCases.flatMap { activation in
            [false, true].flatMap { hasLayerNorm in
                [false, true].map { Problem(activation: activation, hasLayerNorm: hasLayerNorm, drops: $0) }
            }
        }

        var testDescription: String {
            "\(activation)\(hasLayerNorm ? ", LayerNorm" : "")\(drops ? ", dropout" : "")"
        }

        /// Random everywhere, so that LayerNorm's scale and shift matter too.
        var parameters: HiddenParameters {
            var parameters = HiddenParameters(
                .init(
                    width: width, hiddenCount: hidden, classCount: classes, activation: activation,
                    hasLayerNorm: hasLayerNorm), seed: 0)
            var generator = SplitMix64(seed: 3)
            for index in parameters.values.indices {
                parameters.values[index] = Double(Float.random(in: -1...1, using: &generator))
            }
            return parameters
        }

        /// [rows * width], with an offset and a scale for each row.
        var features: [Float] {
            var generator = SplitMix64(seed: 4)
            return (0..<(rows * width)).map { Float.random(in: -1...1, using: &generator) + Float($0 / width % 3) / 2 }
        }

        var labels: [Int32] {
            var generator = SplitMix64(seed: 5)
            return (0..<rows).map { _ in .random(in: 0..<Int32(classes), using: &generator) }
        }

        var dropout: Dropout? { drops ? Dropout(probability: 0.4, seed: 6, step: 7) : nil }

        var masks: [[Double]]? {
            dropout.map { dropout in
                (0..<rows).map { dropout.factors(row: $0, count: hidden).map { Double($0) } }
            }
        }

        func naive(_ parameters: HiddenParameters? = nil, l2: Double) -> (value: Double, gradient: [Double]) {
            naiveHiddenHeadGradient(
                features: inRows(features, width: width), labels: labels, parameters: parameters ?? self.parameters,
                l2: l2, masks: masks)
        }

        func kernel(l2: Double, threads: Int = 1, partition: RowPartition? = nil) -> LinearHeadObjective.Value {
            HiddenHeadKernel(parameters).objective(
                on: DenseRows(values: features, width: width), targets: HeadTargets(labels: labels),
                loss: CrossEntropyLoss(), standardization: nil, l2: l2, dropout: dropout, threads: threads,
                partition: partition)
        }
    }

    @Test("is the slope of the reference's value", arguments: Problem.all)
    func referenceAgreesWithFiniteDifferences(problem: Problem) {
        var problem = problem
        problem.rows = 5
        let (l2, step) = (0.02, 1e-5)
        let parameters = problem.parameters
        let slopes = parameters.values.indices.map { index in
            func value(_ shift: Double) -> Double {
                var moved = parameters
                moved.values[index] += shift
                return problem.naive(moved, l2: l2).value
            }
            return (value(step) - value(-step)) / (2 * step)
        }
        // Central differences err by O(step²) and by rounding of the value over the step.
        let gradient = problem.naive(l2: l2).gradient
        #expect(largestDistance(slopes, gradient, parameters.architecture) <= 1e-8)
    }

    @Test("is that of the reference", arguments: Problem.all)
    func kernelAgreesWithReference(problem: Problem) {
        let naive = problem.naive(l2: 0.02)
        let found = problem.kernel(l2: 0.02)
        #expect(abs(found.value - naive.value) <= Self.floatPrecision * naive.value)
        #expect(
            largestDistance(found.gradient, naive.gradient, problem.parameters.architecture) <= Self.floatPrecision)
    }

    @Test("is that of the reference for any gradient of the logits, and is added to what is there")
    func anyLogitGradient() {
        for problem in Problem.all {
            let (parameters, form) = (problem.parameters, problem.parameters.architecture)
            var generator = SplitMix64(seed: 9)
            let logitGradient = (0..<(problem.rows * problem.classes)).map { _ in
                Float.random(in: -1...1, using: &generator)
            }
            var expected = [Double](repeating: 0, count: form.parameterCount)
            for (index, features) in inRows(problem.features, width: problem.width).enumerated() {
                NaiveHiddenRow(features, mask: problem.masks?[index], parameters: parameters).addGradient(
                    logitGradient: inRows(logitGradient, width: problem.classes)[index], parameters: parameters,
                    into: &expected)
            }
            let kernel = HiddenHeadKernel(parameters)
            let scratch = HiddenScratch(rows: problem.rows, architecture: form)
            var sum = [Double](repeating: 0, count: form.parameterCount)
            for _ in 0..<2 {
                kernel.forward(
                    problem.features, rows: problem.rows, dropout: problem.dropout, firstRow: 0, scratch: scratch)
                kernel.backward(
                    problem.features, logitGradient: logitGradient, rows: problem.rows, scratch: scratch, into: &sum)
            }
            #expect(largestDistance(sum.map { $0 / 2 }, expected, form) <= Self.floatPrecision)
        }
    }

    @Test("is what PyTorch finds, by the reference and by the kernel")
    func agreesWithPyTorch() throws {
        let golden = try HiddenGolden.read()
        #expect(golden.cases.count == 9)
        for data in golden.cases {
            let parameters = golden.parameters(data)
            let rows = inRows(golden.features, width: golden.width)
            let masks = data.mask.map { inRows($0, width: golden.hidden) }
            let naive = naiveHiddenHeadGradient(
                features: rows, labels: golden.labels, parameters: parameters, l2: data.l2, masks: masks)
            #expect(abs(naive.value - data.objective) <= 1e-14 * data.objective)
            #expect(largestDistance(naive.gradient, data.gradient, parameters.architecture) <= 1e-13)
            for (index, logits) in inRows(data.logits, width: golden.classes).enumerated() {
                let row = NaiveHiddenRow(rows[index], mask: masks?[index], parameters: parameters)
                #expect(relativeDistance(row.logits, logits) <= 1e-14)
            }
            // The kernel draws its masks itself, so only cases without one are for it.
            guard masks == nil else { continue }
            let found = HiddenHeadKernel(parameters).objective(
                on: DenseRows(values: golden.features, width: golden.width),
                targets: HeadTargets(labels: golden.labels),
                loss: CrossEntropyLoss(), standardization: nil, l2: data.l2, dropout: nil, threads: 1)
            #expect(abs(found.value - data.objective) <= Self.floatPrecision * data.objective)
            #expect(largestDistance(found.gradient, data.gradient, parameters.architecture) <= Self.floatPrecision)
        }
    }

    @Test("goes with logits that are those of the plain head", arguments: Problem.all)
    func logitsOfThePlainHead(problem: Problem) {
        let (parameters, form) = (problem.parameters, problem.parameters.architecture)
        let scratch = HiddenScratch(rows: problem.rows, architecture: form)
        HiddenHeadKernel(parameters).forward(problem.features, rows: problem.rows, scratch: scratch)
        let logits = Array(UnsafeBufferPointer(start: scratch.logits, count: problem.rows * problem.classes))
        for (row, features) in inRows(problem.features, width: problem.width).enumerated() {
            let plain = parameters.head.logits(features.map { Float($0) })
            for (found, expected) in zip(logits[(row * problem.classes)...], plain) {
                #expect(abs(found - expected) <= 16 * .ulpOfOne * max(1, abs(expected)))
            }
        }
    }

    @Test("is on standardised features the same as on a block that was standardised before")
    func standardization() {
        let problem = Problem(activation: .gelu, hasLayerNorm: false, drops: true)
        let data = DenseRows(values: problem.features, width: problem.width)
        let standardization = Standardization(of: data, threads: 1)
        var block = problem.features
        standardization.apply(to: &block, rows: problem.rows)
        let kernel = HiddenHeadKernel(problem.parameters)
        let found = kernel.objective(
            on: data, targets: HeadTargets(labels: problem.labels), loss: CrossEntropyLoss(),
            standardization: standardization, l2: 0, dropout: problem.dropout, threads: 1)
        let before = kernel.objective(
            on: DenseRows(values: block, width: problem.width), targets: HeadTargets(labels: problem.labels),
            loss: CrossEntropyLoss(), standardization: nil, l2: 0, dropout: problem.dropout, threads: 1)
        #expect(found.value == before.value)
        #expect(found.gradient == before.gradient)
    }

    @Test("does not depend on the number of threads, to the last bit", arguments: [false, true])
    func threadsDoNotMatter(hasLayerNorm: Bool) {
        var problem = Problem(activation: .gelu, hasLayerNorm: hasLayerNorm, drops: true)
        problem.rows = 2400
        // Blocks of 16 rows, as for features so wide; three of them in each chunk.
        let partition = RowPartition(rowCount: problem.rows, width: 1 << 14)
        #expect(partition.chunkCount == RowPartition.mostChunks)
        let one = problem.kernel(l2: 0.1, threads: 1, partition: partition)
        for threads in [2, 3, 7] {
            let several = problem.kernel(l2: 0.1, threads: threads, partition: partition)
            #expect(several.value == one.value)
            #expect(several.gradient == one.gradient)
        }
    }

    @Test("does not depend on the size of blocks, but for rounding", arguments: Problem.all)
    func blocksDoNotMatter(problem: Problem) {
        var problem = problem
        problem.rows = 150
        let whole = problem.kernel(l2: 0)
        // A width that makes blocks of 16 rows, which do not divide 150.
        let partition = RowPartition(rowCount: problem.rows, width: 1 << 14)
        #expect(partition.blockRows == 16)
        let parts = problem.kernel(l2: 0, partition: partition)
        #expect(abs(parts.value - whole.value) <= Self.floatPrecision * whole.value)
        #expect(
            largestDistance(parts.gradient, whole.gradient, problem.parameters.architecture) <= Self.floatPrecision)
    }

    /// Mistakes that are easily made, as changes to the reference: of a row between forward and back, of what the row
    /// adds to the gradient, or of the sum over rows.
    enum Mistake: String, CaseIterable, Sendable {
        case sign, missingMean, forgottenMask, maskNotInverted, slopeAtInput, slopeMissing, oneBiasMissing, tanhGELU
        case forgottenShift

        /// A head that the mistake makes a difference to.
        var problem: Problem {
            switch self {
            case .tanhGELU: Problem(activation: .gelu, hasLayerNorm: false, drops: false)
            case .forgottenShift: Problem(activation: .relu, hasLayerNorm: true, drops: false)
            default: Problem(activation: .tanh, hasLayerNorm: true, drops: true)
            }
        }

        func change(_ row: inout NaiveHiddenRow) {
            switch self {
            // The way back takes 1 - value² from `activated`.
            case .slopeAtInput: row.activated = row.sums
            case .slopeMissing: row.activated = row.activated.map { _ in 0 }
            case .forgottenMask: row.mask = row.mask.map { _ in 1 }
            case .maskNotInverted: row.mask = row.mask.map { $0 > 0 ? 1 : 0 }
            case .tanhGELU:
                row.dropped = row.sums.map { sum in
                    0.5 * sum * (1 + tanh((2 / Double.pi).squareRoot() * (sum + 0.044_715 * sum * sum * sum)))
                }
            // The hidden weights' gradient taken at the normalised features, before LayerNorm's scale and shift.
            case .forgottenShift: row.input = row.normalized
            case .sign, .missingMean, .oneBiasMissing: break
            }
        }

        func change(_ gradient: inout [Double], rows: Int, _ form: HiddenParameters.Architecture) {
            switch self {
            case .sign: for index in form.hiddenBias { gradient[index] = -gradient[index] }
            case .missingMean: for index in form.weight { gradient[index] *= Double(rows) }
            case .oneBiasMissing: gradient[form.hiddenBias.lowerBound] = 0
            default: break
            }
        }
    }

    /// The gradient of the mean loss, with a mistake or without.
    private func gradient(of problem: Problem, with mistake: Mistake?) -> [Double] {
        let parameters = problem.parameters
        var gradient = [Double](repeating: 0, count: parameters.values.count)
        for (index, features) in inRows(problem.features, width: problem.width).enumerated() {
            var row = NaiveHiddenRow(features, mask: problem.masks?[index], parameters: parameters)
            let loss = naiveCrossEntropy(logits: row.logits, label: Int(problem.labels[index]))
            mistake?.change(&row)
            row.addGradient(logitGradient: loss.gradient, parameters: parameters, into: &gradient)
        }
        for index in gradient.indices { gradient[index] /= Double(problem.rows) }
        mistake?.change(&gradient, rows: problem.rows, parameters.architecture)
        return gradient
    }

    @Test("is told apart from one with a planted mistake", arguments: Mistake.allCases)
    func mistakesAreCaught(mistake: Mistake) {
        let problem = mistake.problem
        let form = problem.parameters.architecture
        let found = problem.kernel(l2: 0).gradient
        #expect(largestDistance(found, gradient(of: problem, with: nil), form) <= Self.floatPrecision)
        #expect(largestDistance(found, gradient(of: problem, with: mistake), form) > 20 * Self.floatPrecision)
    }
}

@Suite("Dropout")
struct DropoutTests {
    @Test("keeps the mean: it drops the share it says, and multiplies the rest")
    func share() {
        let dropout = Dropout(probability: 0.3, seed: 1, step: 2)
        let factors = (0..<200).flatMap { dropout.factors(row: $0, count: 100) }
        #expect(Set(factors) == [0, Float(1 / 0.7)])
        let dropped = Double(factors.count { $0 == 0 })
        // Binomial with 20,000 draws: four standard deviations.
        #expect(abs(dropped - 6000) <= 4 * (20_000 * 0.3 * 0.7).squareRoot())
        #expect(Dropout(probability: 0, seed: 1, step: 2).factors(row: 0, count: 50).allSatisfy { $0 == 1 })
    }

    @Test("depends on seed, step, row and unit, and not on how many units there are")
    func dependence() {
        let factors = Dropout(probability: 0.5, seed: 1, step: 2).factors(row: 3, count: 64)
        #expect(Dropout(probability: 0.5, seed: 1, step: 2).factors(row: 3, count: 64) == factors)
        #expect(Dropout(probability: 0.5, seed: 9, step: 2).factors(row: 3, count: 64) != factors)
        #expect(Dropout(probability: 0.5, seed: 1, step: 3).factors(row: 3, count: 64) != factors)
        #expect(Dropout(probability: 0.5, seed: 1, step: 2).factors(row: 4, count: 64) != factors)
        #expect(Dropout(probability: 0.5, seed: 1, step: 2).factors(row: 3, count: 10) == Array(factors[..<10]))
    }

    @Test("is independent from row to row, from step to step and from unit to unit")
    func independence() {
        func factors(_ row: Int, _ step: Int) -> [Float] {
            Dropout(probability: 0.5, seed: 8, step: step).factors(row: row, count: 100)
        }
        var (rows, steps, units) = (0, 0, 0)
        for row in 0..<100 {
            let own = factors(row, 0)
            rows += zip(own, factors(row + 1, 0)).count { $0 == $1 }
            steps += zip(own, factors(row, 1)).count { $0 == $1 }
            units += zip(own, own.dropFirst() + own.prefix(1)).count { $0 == $1 }
        }
        // Half of 10,000 pairs agree, within four standard deviations.
        for agreements in [rows, steps, units] { #expect(abs(agreements - 5000) <= 200) }
    }
}

/// What `Resources/make_hidden_golden.py` wrote: logits and gradients from PyTorch.
private struct HiddenGolden: Decodable {
    struct Case: Decodable {
        var activation: String
        var layerNorm: Bool
        var mask: [Float]?
        var l2: Double
        var parameters: [Double]
        var logits: [Double]
        var objective: Double
        var gradient: [Double]
    }

    var rows: Int
    var width: Int
    var hidden: Int
    var classes: Int
    var features: [Float]
    var labels: [Int32]
    var cases: [Case]

    func parameters(_ data: Case) -> HiddenParameters {
        var parameters = HiddenParameters(
            .init(
                width: width, hiddenCount: hidden, classCount: classes,
                activation: Activation(rawValue: data.activation)!, hasLayerNorm: data.layerNorm), seed: 0)
        precondition(parameters.values.count == data.parameters.count, "golden parameters of this form")
        parameters.values = data.parameters
        return parameters
    }

    static func read() throws -> HiddenGolden {
        let url = try #require(
            Bundle.module.url(forResource: "hidden_golden", withExtension: "json", subdirectory: "Resources"))
        return try JSONDecoder().decode(HiddenGolden.self, from: Data(contentsOf: url))
    }
}

/// Row-major numbers as rows of Doubles.
private func inRows<Number: BinaryFloatingPoint>(_ values: [Number], width: Int) -> [[Double]] {
    stride(from: 0, to: values.count, by: width).map { values[$0..<($0 + width)].map { Double($0) } }
}

/// The largest relative distance over the parts of a gradient, so that large parts do not hide small ones.
private func largestDistance(
    _ left: [Double], _ right: [Double], _ form: HiddenParameters.Architecture
) -> Double {
    let parts = [form.scale, form.shift, form.hiddenWeight, form.hiddenBias, form.weight, form.bias]
    return parts.filter { !$0.isEmpty }.map { relativeDistance(Array(left[$0]), Array(right[$0])) }.max()!
}
