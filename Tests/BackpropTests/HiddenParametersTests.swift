import ExitHeads
import Statistics
import Testing

@testable import Backprop

@Suite("The parameters of a hidden head")
struct HiddenParametersTests {
    private func architecture(hasLayerNorm: Bool, activation: Activation = .gelu) -> HiddenParameters.Architecture {
        .init(width: 50, hiddenCount: 40, classCount: 3, activation: activation, hasLayerNorm: hasLayerNorm)
    }

    @Test("fill one vector, with a penalty on weights only", arguments: [false, true])
    func layout(hasLayerNorm: Bool) {
        let form = architecture(hasLayerNorm: hasLayerNorm)
        let ranges = [form.scale, form.shift, form.hiddenWeight, form.hiddenBias, form.weight, form.bias]
        let norm = hasLayerNorm ? 50 : 0
        #expect(ranges.map(\.count) == [norm, norm, 2000, 40, 120, 3])
        #expect(ranges.flatMap { $0 } == Array(0..<form.parameterCount))
        #expect((0..<form.parameterCount).filter(form.isWeight) == Array(form.hiddenWeight) + Array(form.weight))
        var parameters = HiddenParameters(form, seed: 1)
        for index in parameters.values.indices { parameters.values[index] = form.isWeight(index) ? 2 : 5 }
        #expect(parameters.squaredWeights == 4 * 2120)
    }

    @Test("start uniform within 1 over the root of each layer's inputs, as torch.nn.Linear does")
    func initialisation() {
        let form = architecture(hasLayerNorm: true)
        let values = HiddenParameters(form, seed: 7).values
        #expect(values[form.scale].allSatisfy { $0 == 1 })
        #expect(values[form.shift].allSatisfy { $0 == 0 })
        for (ranges, inputs) in [([form.hiddenWeight, form.hiddenBias], 50.0), ([form.weight, form.bias], 40.0)] {
            let drawn = ranges.flatMap { values[$0] }
            let bound = 1 / inputs.squareRoot()
            #expect(drawn.allSatisfy { abs($0) <= bound })
            // The mean of n draws has deviation bound / sqrt(3 n); that of their squares bound² sqrt(4 / (45 n)).
            let count = Double(drawn.count)
            #expect(abs(drawn.reduce(0, +)) / count <= 4 * bound / (3 * count).squareRoot())
            let meanSquare = drawn.reduce(0) { $0 + $1 * $1 } / count
            #expect(abs(meanSquare - bound * bound / 3) <= 4 * bound * bound * (4 / (45 * count)).squareRoot())
        }
    }

    @Test("are the same from the same seed, and others from another")
    func seeds() {
        let form = architecture(hasLayerNorm: false)
        var generator = SplitMix64(seed: 3)
        #expect(HiddenParameters(form, seed: 3) == HiddenParameters(form, using: &generator))
        #expect(HiddenParameters(form, seed: 3) != HiddenParameters(form, seed: 4))
    }

    @Test("become a head and are read back from it", arguments: [false, true], Activation.allCases)
    func roundTrip(hasLayerNorm: Bool, activation: Activation) {
        let form = architecture(hasLayerNorm: hasLayerNorm, activation: activation)
        var parameters = HiddenParameters(form, seed: 5)
        var generator = SplitMix64(seed: 6)
        for index in parameters.values.indices {
            parameters.values[index] = Double(Float.random(in: -1...1, using: &generator))
        }
        let head = parameters.head
        #expect((head.layerNorm != nil) == hasLayerNorm)
        #expect(head.activation == activation)
        #expect(head.width == 50 && head.hiddenCount == 40 && head.classCount == 3)
        #expect(HiddenParameters(head) == parameters)
    }

    @Test("fold a standardisation into the head, and take it out again")
    func standardization() {
        var generator = SplitMix64(seed: 8)
        let (rows, width) = (200, 50)
        // The last feature does not vary.
        let features = (0..<(rows * width)).map { index in
            index % width == width - 1 ? 7.25 : Float.random(in: -1...1, using: &generator) * 3 + Float(index % width)
        }
        let data = DenseRows(values: features, width: width)
        let standardization = Standardization(of: data, threads: 1)
        var parameters = HiddenParameters(architecture(hasLayerNorm: false), seed: 9)
        let head = parameters.head(standardization: standardization)

        var block = Array(features[..<width])
        standardization.apply(to: &block, rows: 1)
        let expected = parameters.head.logits(block)
        for (found, expected) in zip(head.logits(Array(features[..<width])), expected) {
            // Folded weights and biases are rounded once more; the largest term is a feature of 50 times its weight.
            #expect(abs(found - expected) <= 64 * 50 * Float.ulpOfOne)
        }

        let again = HiddenParameters(head, standardization: standardization)
        let form = parameters.architecture
        for unit in 0..<form.hiddenCount {
            // What is ignored has no weight left.
            parameters.values[form.hiddenWeight.lowerBound + unit * width + width - 1] = 0
        }
        #expect(relativeDistance(again.values, parameters.values) <= 64 * Double(Float.ulpOfOne))
    }
}
