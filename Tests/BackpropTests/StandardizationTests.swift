import Testing

@testable import Backprop

@Suite("Standardisation")
struct StandardizationTests {
    @Test("gives every feature mean 0 and deviation 1, whatever its offset")
    func meanAndDeviation() throws {
        let data = try Golden.read().cases[0]
        // An offset a thousand times the deviation would cost three digits of a naive sum of squares.
        let shifted = data.features.enumerated().map { index, value in
            index % data.width == 0 ? value + 4096 : value
        }
        let rows = DenseRows(values: shifted, width: data.width)
        let scaling = Standardization(of: rows)
        var block = shifted
        scaling.apply(to: &block, rows: data.rows)
        for column in 0..<data.width {
            let values = (0..<data.rows).map { Double(block[$0 * data.width + column]) }
            let mean = values.reduce(0, +) / Double(data.rows)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(data.rows)
            #expect(abs(mean) < 1e-3)
            #expect(abs(variance - 1) < 1e-3)
        }
    }

    @Test("scales a constant feature to nothing")
    func constant() {
        let scaling = Standardization(of: DenseRows(values: [1, 0.1, 2, 0.1, 3, 0.1], width: 2))
        #expect(scaling.inverseDeviation[0] > 1)
        #expect(scaling.inverseDeviation[1] == 0)
    }

    @Test("is folded into saved heads and out again")
    func folding() throws {
        let data = try Golden.read().cases[1]
        let scaling = Standardization(of: data.denseRows)
        let parameters = LinearParameters(weight: data.optima[0].weight, bias: data.optima[0].bias)
        let back = LinearParameters(parameters.head(standardization: scaling), standardization: scaling)
        #expect(relativeDistance(back.values, parameters.values) < 1e-5)
    }
}
