import Statistics
import Testing

@testable import ExitHeads

@Suite("The product of a weight row and an input")
struct RowProductTests {
    /// One addition after the other.
    private func naiveRowProduct(_ weight: [Float], _ input: [Double]) -> Double {
        zip(weight, input).reduce(0) { $0 + Double($1.0) * $1.1 }
    }

    @Test("is the plain sum up to the rounding of Double, at every length", arguments: [0, 1, 7, 8, 9, 31, 128, 769])
    func plain(count: Int) {
        var generator = SplitMix64(seed: UInt64(count))
        let weight = (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
        let input = (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
        let wide = input.map { Double($0) }
        let expected = naiveRowProduct(weight, wide)
        // Each of the additions rounds a partial sum of at most `magnitude`.
        let magnitude = zip(weight, wide).reduce(0) { $0 + abs(Double($1.0) * $1.1) }
        let tolerance = Double(count) * magnitude * Double.ulpOfOne
        let narrow = weight.withUnsafeBufferPointer { weight in
            input.withUnsafeBufferPointer { input in
                count == 0 ? 0 : rowProduct(weight.baseAddress!, input.baseAddress!, count: count)
            }
        }
        let full = weight.withUnsafeBufferPointer { weight in
            wide.withUnsafeBufferPointer { wide in
                count == 0 ? 0 : rowProduct(weight.baseAddress!, wide.baseAddress!, count: count)
            }
        }
        #expect(abs(narrow - expected) <= tolerance && abs(full - expected) <= tolerance)
        #expect(narrow == full)
    }
}
