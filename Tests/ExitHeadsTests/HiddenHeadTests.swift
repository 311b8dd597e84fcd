import Foundation
import Testing

@testable import ExitHeads

@Suite("A hidden head")
struct HiddenHeadTests {
    /// Two features, two hidden units that see one of them each, two classes.
    private func head(_ activation: Activation, layerNorm: HiddenHead.LayerNorm? = nil) -> HiddenHead {
        HiddenHead(
            layerNorm: layerNorm, hiddenWeight: [1, 0, 0, 2], hiddenBias: [0, 1], activation: activation,
            weight: [1, 0, 1, -1], bias: [0.5, 0])
    }

    @Test("says what it reads and tells apart")
    func shape() {
        let head = HiddenHead(
            hiddenWeight: Array(repeating: 1, count: 6), hiddenBias: [0, 0], activation: .relu,
            weight: Array(repeating: 1, count: 8), bias: [0, 0, 0, 0])
        #expect(head.width == 3)
        #expect(head.hiddenCount == 2)
        #expect(head.classCount == 4)
        #expect(head.isFinite)
    }

    @Test("gives logits W₂ activation(W₁ x + b₁) + b₂")
    func logits() {
        // The hidden sums of (1, -1) are 1 and -1.
        #expect(head(.relu).logits([1, -1]) == [1.5, 1])
        let up = Float(Foundation.tanh(1.0))
        #expect(head(.tanh).logits([1, -1]) == [Float(0.5 + Foundation.tanh(1.0)), 2 * up])
        // GELU(1) = Φ(1) and GELU(-1) = Φ(1) - 1, so the second logit is 1.
        #expect(head(.gelu).logits([1, -1]) == [Float(0.5 + 0.841_344_746_068_542_9), 1])
    }

    @Test("normalises each row by itself when it has LayerNorm")
    func layerNorm() {
        let norm = HiddenHead.LayerNorm(scale: [2, 1], shift: [0, 3])
        // Two features become ±1 / sqrt(1 + epsilon / variance), here with variance 4.
        let unit = 1 / (1 + HiddenHead.LayerNorm.epsilon / 4).squareRoot()
        let sums = (2 * unit, 2 * (3 - unit) + 1)
        let expected = [Float(0.5 + sums.0), Float(sums.0 - sums.1)]
        for (found, expected) in zip(head(.relu, layerNorm: norm).logits([5, 1]), expected) {
            #expect(abs(found - expected) <= 2 * expected.ulp)
        }
        // Equal features are 0 after normalisation, whatever they are.
        #expect(head(.relu, layerNorm: norm).logits([7, 7]) == [0.5, -7])
    }

    @Test("is said not to be finite where one number is not", arguments: 0..<6)
    func isFinite(part: Int) {
        var head = head(.tanh, layerNorm: .init(scale: [1, 1], shift: [0, 0]))
        switch part {
        case 0: head.layerNorm?.scale[1] = .nan
        case 1: head.layerNorm?.shift[0] = .infinity
        case 2: head.hiddenWeight[3] = .nan
        case 3: head.hiddenBias[0] = .nan
        case 4: head.weight[2] = -.infinity
        default: head.bias[1] = .nan
        }
        #expect(!head.isFinite)
    }

    @Test("with a standardisation folded in gives the same logits on features as they come")
    func folding() {
        let head = HiddenHead(
            hiddenWeight: [0.5, -1, 2, 1, 0.25, -0.5], hiddenBias: [0.5, -1], activation: .gelu,
            weight: [1, -2, 0.5, 4], bias: [0.25, -1])
        // Powers of two, so that folding is exact; the last feature does not vary and is ignored.
        let mean: [Float] = [3, -1.5, 100]
        let scale: [Float] = [0.5, 4, 0]
        let features: [Float] = [2, -1, 100]
        let standardized = features.indices.map { (features[$0] - mean[$0]) * scale[$0] }
        let folded = head.foldingStandardization(mean: mean, inverseDeviation: scale)
        #expect(folded.logits(features) == head.logits(standardized))
        #expect(folded.hiddenWeight[2] == 0)
        #expect(folded.logits([2, -1, 0]) == folded.logits(features))
        #expect(folded.weight == head.weight)
    }

    @Test("with a projection multiplied in gives the same logits on the features before it")
    func unprojected() {
        // Two components of three features; numbers that Float32 holds exactly, so the logits are equal.
        let projection: [Float] = [0.5, -1, 2, 0, 0.25, 1]
        let offset: [Float] = [1, -2, 0.5]
        let features: [Float] = [3, 1, -2]
        let centred = zip(features, offset).map { $0 - $1 }
        let components = (0..<2).map { row in (0..<3).reduce(Float(0)) { $0 + projection[row * 3 + $1] * centred[$1] } }
        for activation in Activation.allCases {
            let full = head(activation).unprojected(projection: projection, offset: offset)
            #expect(full.width == 3)
            #expect(full.logits(features) == head(activation).logits(components))
        }
    }
}

@Suite("Activations")
struct ActivationTests {
    @Test("have the slopes of their values", arguments: Activation.allCases)
    func slopes(activation: Activation) {
        let step = 1e-5
        for input in stride(from: -4.05, through: 4, by: 0.1) {
            let difference = activation.value(at: input + step) - activation.value(at: input - step)
            let slope = activation.slope(at: input, value: activation.value(at: input))
            // Central differences err by step² / 6 times the third derivative, and by rounding over the step.
            #expect(abs(difference / (2 * step) - slope) <= 1e-9)
        }
    }

    @Test("know GELU's tail to its last digits, and where it ends")
    func geluTail() {
        // -10 Φ(-10), from the table of the normal distribution.
        #expect(abs(Activation.gelu.value(at: -10) / -7.619_853_024_160_527e-23 - 1) <= 1e-13)
        #expect(Activation.gelu.value(at: -100) == 0)
        #expect(Activation.gelu.value(at: 100) == 100)
        #expect(Activation.gelu.slope(at: -100, value: 0) == 0)
        #expect(Activation.gelu.slope(at: 100, value: 100) == 1)
    }

    @Test("are not GELU's approximation with tanh")
    func geluIsExact() {
        let input = 2.7
        let inner = (2 / Double.pi).squareRoot() * (input + 0.044_715 * input * input * input)
        let approximation = 0.5 * input * (1 + Foundation.tanh(inner))
        #expect(abs(Activation.gelu.value(at: input) - approximation) > 4e-4)
    }

    @Test("let a number that is none through, and leave ReLU flat at 0", arguments: Activation.allCases)
    func edges(activation: Activation) {
        #expect(activation.value(at: .nan).isNaN)
        #expect(activation.value(at: 0) == 0)
        #expect(Activation.relu.slope(at: 0, value: 0) == 0)
    }
}
