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

    @Test("knows the largest distance from the mean, for any number of threads", arguments: [1, 3])
    func largest(threads: Int) throws {
        let (width, rows) = (300, 2500)
        // Deviations of 1 to 3, and one outlier each: 20 below, or above, in some row.
        let values = (0..<(rows * width)).map { index in
            let (row, column) = (index / width, index % width)
            let outlier: Float = row == column * 8 ? (column % 2 == 0 ? -20 : 20) : 0
            return 5 + outlier + Float((row + column) % 7 - 3) * Float(1 + column % 3) / 2
        }
        let scaling = Standardization(of: DenseRows(values: values, width: width), threads: threads)
        for column in 0..<width {
            let distances = (0..<rows).map { abs(values[$0 * width + column] - scaling.mean[column]) }
            let expected = try #require(distances.max()) * scaling.inverseDeviation[column]
            #expect(abs(scaling.largest[column] - expected) <= 1e-5 * expected)
        }
    }

    @Test("brings rows to whole numbers and back")
    func steps() {
        // The second one does not vary.
        let values: [Float] = [1, 3, 0, 3, 0, 3, 0, 3]
        let rows = DenseRows(values: values, width: 2)
        let scaling = Standardization(of: rows)
        let (down, up) = scaling.steps(range: 127)
        var (standardized, small) = (values, values)
        scaling.apply(to: &standardized, rows: 4)
        down.apply(to: &small, rows: 4)
        #expect(abs(small[0] - 127) < 1e-3 && small.allSatisfy { abs($0) <= 127.001 })
        up.apply(to: &small, rows: 4)
        for (found, expected) in zip(small, standardized) { #expect(abs(found - expected) < 1e-5) }
        #expect(small[1] == 0)
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
