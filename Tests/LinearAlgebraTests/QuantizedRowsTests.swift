import Statistics
import Testing

@testable import LinearAlgebra

@Suite("Rows rounded to bytes", .enabled(if: QuantizedRows.isAvailable, "the processor has matrix instructions"))
struct QuantizedRowsTests {
    /// Whole numbers, for the rows to hold them exactly.
    private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in Float(Int.random(in: -127...127, using: &generator)) }
    }

    private static func rows(_ values: [Float], width: Int) throws -> QuantizedRows {
        let rows = try #require(QuantizedRows(rowCount: values.count / width, width: width))
        for start in stride(from: 0, to: rows.rowCount, by: rows.stepRows) {
            let own = start..<min(start + rows.stepRows, rows.rowCount)
            rows.set(own, to: Array(values[(own.lowerBound * width)..<(own.upperBound * width)]))
        }
        return rows
    }

    @Test(
        "are multiplied with columns, and added up with factors, as in Double",
        arguments: [1, 15, 16, 17, 32, 33, 100], [1, 16, 17, 32, 33, 255, 256, 257, 700])
    func products(width: Int, rowCount: Int) throws {
        let values = Self.numbers(rowCount * width, seed: 1)
        let rows = try Self.rows(values, width: width)
        var generator = SplitMix64(seed: 2)
        for columns in [1, 2, 5, 6, 11] {
            let weights = (0..<(columns * width)).map { _ in Float.random(in: -1...1, using: &generator) }
            let bias = (0..<columns).map { Float($0) }
            let packed = rows.pack(weights)
            let stride = rows.columnStride
            var sums = [Float](repeating: 3, count: columns * width)
            var expectedSums = [Double](repeating: 3, count: columns * width)
            var magnitudes = [Double](repeating: 3, count: columns * width)
            var products = [Float](repeating: .nan, count: columns * stride)
            for group in 0..<rows.groupCount {
                let own = rows.rows(ofGroup: group)
                rows.multiply(group: group, by: packed, bias: bias, into: &products)
                let factors = (0..<(columns * stride)).map { _ in Float.random(in: -1...1, using: &generator) }
                rows.addProducts(group: group, with: factors, columns: columns, to: &sums)
                for column in 0..<columns {
                    for (index, row) in own.enumerated() {
                        var (exact, magnitude) = (Double(bias[column]), Double(bias[column]))
                        for feature in 0..<width {
                            let value = Double(values[row * width + feature])
                            exact += value * Double(weights[column * width + feature])
                            magnitude += abs(value)
                            let factor = Double(factors[column * stride + index])
                            expectedSums[column * width + feature] += value * factor
                            magnitudes[column * width + feature] += abs(value)
                        }
                        // Weights and factors are rounded to 22 bits of the largest, which is 1.
                        #expect(abs(Double(products[column * stride + index]) - exact) <= 4e-7 * magnitude)
                    }
                }
            }
            for index in sums.indices {
                #expect(abs(Double(sums[index]) - expectedSums[index]) <= 4e-7 * magnitudes[index])
            }
        }
    }

    @Test("take a byte for each number, in whole groups of 32 numbers and 256 rows")
    func byteCount() {
        #expect(QuantizedRows.byteCount(rows: 256, width: 64) == 256 * 64)
        #expect(QuantizedRows.byteCount(rows: 257, width: 65) == 512 * 96)
    }

    @Test("are rounded to the nearest whole number, and no further than they go")
    func rounding() throws {
        let values: [Float] = [0.4, 0.6, -0.4, -0.6, 126.6, -126.6, 127.4, 1000, -1000, 2.5, 3.5, 0]
        let rows = try Self.rows(values, width: 1)
        var products = [Float](repeating: 0, count: rows.columnStride)
        rows.multiply(group: 0, by: rows.pack([1]), bias: [0], into: &products)
        let expected: [Float] = [0, 1, 0, -1, 127, -127, 127, 127, -127, 2, 4, 0]
        #expect(zip(products, expected).allSatisfy { abs($0 - $1) <= 1e-4 })
    }

    @Test(
        "have products that are not a number with weights that are not finite, in that column",
        arguments: [
            Float.nan, .infinity, -.infinity,
        ])
    func notFinite(value: Float) throws {
        let rows = try Self.rows(Self.numbers(40 * 50, seed: 3), width: 50)
        var weights = [Float](repeating: 0.5, count: 100)
        weights[77] = value
        var products = [Float](repeating: 0, count: 2 * rows.columnStride)
        rows.multiply(group: 0, by: rows.pack(weights), bias: [0, 0], into: &products)
        for row in 0..<40 {
            #expect(products[row].isFinite && products[rows.columnStride + row].isNaN)
        }
    }

    @Test(
        "have products of nothing with weights of zero, or next to it",
        arguments: [Float(0), .leastNormalMagnitude, .leastNonzeroMagnitude])
    func zeros(weight: Float) throws {
        let rows = try Self.rows(Self.numbers(40 * 50, seed: 4), width: 50)
        var products = [Float](repeating: 7, count: rows.columnStride)
        rows.multiply(group: 0, by: rows.pack([Float](repeating: weight, count: 50)), bias: [2], into: &products)
        #expect(products[..<40].allSatisfy { $0 == 2 })
        var sums = [Float](repeating: 1, count: 50)
        rows.addProducts(group: 0, with: [Float](repeating: weight, count: rows.columnStride), columns: 1, to: &sums)
        #expect(sums.allSatisfy { $0 == 1 })
    }
}
