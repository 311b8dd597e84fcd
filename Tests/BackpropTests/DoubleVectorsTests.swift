import Statistics
import Testing

@testable import Backprop

@Suite("Vectors of Double")
struct DoubleVectorsTests {
    @Test("have the inner product of the plain sum", arguments: [0, 1, 7, 8, 9, 769])
    func innerProduct(count: Int) {
        var generator = SplitMix64(seed: 1)
        let left = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        let right = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        let naive = zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
        // A sum of n products up to 1 errs by less than n ulps of n in any order.
        #expect(abs(dot(left, right) - naive) <= Double(count * count) * .ulpOfOne)
    }

    @Test("are added with a factor", arguments: [0, 1, 9])
    func scaled(count: Int) {
        let source = (0..<count).map(Double.init)
        var target = source
        addScaled(-0.5, source, to: &target)
        #expect(target == source.map { $0 / 2 })
    }
}
