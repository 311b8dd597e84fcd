import CKernels
import Foundation
import Statistics
import Testing

@Suite("The kernels with exponentials, for each instruction set that this processor has")
struct ExponentialKernelsTests {
    private static let all: [beem_kernels] = (0..<beem_kernels_count()).compactMap { beem_kernels_at($0)?.pointee }

    @Test("have an exponential within 2 ulps of the exact one, 0 where that is next to nothing")
    func exponential() {
        var generator = SplitMix64(seed: 1)
        let random = (0..<20_001).map { _ in Float.random(in: -87...0, using: &generator) }
        let numbers = [0, -0.0, -1e-20, -87] + random
        for kernels in Self.all {
            var found = [Float](repeating: -1, count: numbers.count)
            kernels.exponential(numbers, numbers.count, &found)
            for (x, value) in zip(numbers, found) {
                let exact = exp(Double(x))
                #expect(abs(Double(value) - exact) <= 2 * Double(Float(exact).ulp), "\(x)")
            }
            let special: [Float] = [-87.1, -1000, -.infinity, .nan, 0, -103, -.greatestFiniteMagnitude, -1]
            var values = special
            kernels.exponential(special, special.count, &values)
            #expect([0, 1, 2, 5, 6].allSatisfy { values[$0] == 0 } && values[3].isNaN && values[4] == 1)
        }
    }

    @Test("keep their digits in the lower tail of the normal distribution, and NaN")
    func normalDistribution() {
        let inputs = (0...600).map { -Float($0) / 100 }
        for kernels in Self.all {
            var found = inputs
            kernels.normal_distribution(inputs, inputs.count, &found)
            for (x, value) in zip(inputs, found) {
                let exact = 0.5 * erfc(-Double(x) * 0.5.squareRoot())
                #expect(abs(Double(value) - exact) <= 1e-5 * exact, "at \(x)")
            }
            let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 40, -40, 1]
            var values = special
            kernels.normal_distribution(special, special.count, &values)
            #expect(values[0].isNaN && values[1] == 1 && values[2] == 0)
            #expect(abs(values[3] - 0.5) < 1e-7 && values[5] == 1 && values[6] == 0)
        }
    }

    @Test("have the GELU of x and its slope, wherever a number stands")
    func gelu() {
        // From -12 to 12, a number of them that no vector divides.
        let inputs = (0..<4803).map { Float(Double($0 - 2401) / 200) }
        for kernels in Self.all {
            var (alone, values, slopes) = (inputs, inputs, inputs)
            kernels.gelu(&alone, nil, inputs.count)
            kernels.gelu(&values, &slopes, inputs.count)
            #expect(alone == values)
            for (index, x) in inputs.map(Double.init).enumerated() {
                let distribution = 0.5 * erfc(-x * 0.5.squareRoot())
                let density = exp(-0.5 * x * x) / (2 * Double.pi).squareRoot()
                #expect(abs(Double(values[index]) - x * distribution) <= 4e-7 * max(1, abs(x)))
                #expect(abs(Double(slopes[index]) - distribution - x * density) <= 6e-7 * max(1, abs(x)))
            }
            for start in 1...17 {
                var part = Array(inputs[start...])
                kernels.gelu(&part, nil, part.count)
                #expect(part == Array(values[start...]))
            }
        }
    }

    @Test(
        "have the cross-entropy and its gradient that Double has, and leave other columns alone",
        arguments: [1, 2, 3, 6, 13, 63, 64, 65, 131], [0, 1, 3, 7, 8, 9, 16, 17, 33])
    func crossEntropy(classes: Int, rows: Int) {
        var generator = SplitMix64(seed: 2)
        let stride = classes + 3
        let logits = (0..<(rows * stride)).map { _ in Float.random(in: -20...20, using: &generator) }
        let labels = (0..<rows).map { _ in Int32.random(in: 0..<Int32(classes), using: &generator) }
        for kernels in Self.all {
            var found = logits
            let loss = kernels.cross_entropy(&found, labels, rows, classes, stride)
            var expected = 0.0
            for row in 0..<rows {
                let own = logits[(row * stride)..<(row * stride + classes)].map(Double.init)
                let top = own.max() ?? 0
                let sum = own.reduce(0) { $0 + exp($1 - top) }
                expected += log(sum) + top - own[Int(labels[row])]
                for index in 0..<classes {
                    let exact = exp(own[index] - top) / sum - (index == Int(labels[row]) ? 1 : 0)
                    // A probability errs by the ulps of an exponential and of a sum of all of them.
                    let tolerance = Double(8 + classes) * Double(Float.ulpOfOne)
                    #expect(abs(Double(found[row * stride + index]) - exact) <= tolerance)
                }
                for index in classes..<stride { #expect(found[row * stride + index] == logits[row * stride + index]) }
            }
            let tolerance = Double(8 + classes) * Double(Float.ulpOfOne) * max(expected, Double(rows))
            #expect(abs(loss - expected) <= tolerance)
        }
    }

    @Test(
        "have the same column by column, without the last class, whose logits are 0",
        arguments: [1, 2, 3, 5, 6, 24], [0, 1, 3, 7, 8, 9, 16, 17, 33, 64])
    func columns(columns: Int, rows: Int) {
        var generator = SplitMix64(seed: 3)
        let stride = rows + 2
        let logits = (0..<(columns * stride)).map { _ in Float.random(in: -20...20, using: &generator) }
        let labels = (0..<rows).map { _ in Int32.random(in: 0...Int32(columns), using: &generator) }
        for kernels in Self.all {
            var found = logits
            var sums = (0..<columns).map(Double.init)
            let loss = kernels.cross_entropy_columns(&found, labels, rows, columns, stride, &sums)
            var expected = 0.0
            var expectedSums = (0..<columns).map(Double.init)
            for row in 0..<rows {
                let own = (0..<columns).map { Double(logits[$0 * stride + row]) } + [0]
                let top = own.max() ?? 0
                let sum = own.reduce(0) { $0 + exp($1 - top) }
                expected += log(sum) + top - own[Int(labels[row])]
                for column in 0..<columns {
                    let exact = exp(own[column] - top) / sum - (column == Int(labels[row]) ? 1 : 0)
                    expectedSums[column] += exact
                    #expect(
                        abs(Double(found[column * stride + row]) - exact) <= Double(9 + columns)
                            * Double(Float.ulpOfOne))
                }
            }
            for index in found.indices where index % stride >= rows { #expect(found[index] == logits[index]) }
            let tolerance = Double(9 + columns) * Double(Float.ulpOfOne)
            #expect(abs(loss - expected) <= tolerance * max(expected, Double(rows)))
            for (found, exact) in zip(sums, expectedSums) { #expect(abs(found - exact) <= tolerance * Double(rows)) }
        }
    }

    @Test("give no number for logits that are not finite, in any row", arguments: [2, 70])
    func notFinite(classes: Int) {
        for kernels in Self.all {
            for (row, value) in [(0, Float.nan), (3, .infinity), (9, .nan)] {
                var logits = [Float](repeating: 0.5, count: 10 * classes)
                logits[classes * row + classes - 1] = value
                let labels = [Int32](repeating: 1, count: 10)
                #expect(kernels.cross_entropy(&logits, labels, 10, classes, classes).isNaN)
            }
            for (row, value) in [(0, Float.nan), (3, .infinity), (9, .nan)] {
                var logits = [Float](repeating: 0.5, count: 20)
                logits[10 + row] = value
                var sums = [0.0, 0]
                let labels = [Int32](repeating: 1, count: 10)
                #expect(kernels.cross_entropy_columns(&logits, labels, 10, 2, 10, &sums).isNaN)
            }
        }
    }
}
