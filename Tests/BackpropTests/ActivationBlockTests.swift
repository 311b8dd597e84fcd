import ExitHeads
import Foundation
import Testing

@testable import Backprop

@Suite("Activations of a block")
struct ActivationBlockTests {
    /// From -12 to 12, a number of them that no vector divides.
    private let inputs = (0..<4803).map { Float(Double($0 - 2401) / 200) }

    @Test("and their slopes are those in Double, to Float32's rounding", arguments: Activation.allCases)
    func values(activation: Activation) {
        var (alone, values, slopes) = (inputs, inputs, inputs)
        activation.apply(to: &alone, count: inputs.count)
        activation.apply(to: &values, slopes: &slopes, count: inputs.count)
        #expect(alone == values)
        for (index, input) in inputs.enumerated() {
            let exact = activation.value(at: Double(input))
            let slope = activation.slope(at: Double(input), value: exact)
            let scale = max(1, abs(Double(input)))
            #expect(abs(Double(values[index]) - exact) <= 4e-7 * scale, "at \(input)")
            #expect(abs(Double(slopes[index]) - slope) <= 6e-7 * scale, "at \(input)")
        }
    }

    @Test("do not depend on where in the block a number stands", arguments: Activation.allCases)
    func places(activation: Activation) {
        var whole = inputs
        activation.apply(to: &whole, count: inputs.count)
        for start in [1, 2, 5, 7] {
            var part = Array(inputs[start...])
            activation.apply(to: &part, count: part.count)
            #expect(part == Array(whole[start...]))
        }
    }
}
