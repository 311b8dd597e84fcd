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

    @Test("have inner products with Float32 vectors, and are added such with factors", arguments: [1, 8, 769])
    func manyVectors(count: Int) {
        var generator = SplitMix64(seed: 2)
        let vectors = (0..<(3 * count)).map { _ in Float.random(in: -1...1, using: &generator) }
        let right = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        let found = dots(vectors, right)
        #expect(found.count == 3)
        var sum = right
        addCombination([2, -1, 0.5], vectors, to: &sum)
        for (vector, product) in found.enumerated() {
            let own = vectors[(vector * count)..<((vector + 1) * count)]
            let naive = zip(own, right).reduce(0) { $0 + Double($1.0) * $1.1 }
            #expect(abs(product - naive) <= Double(count * count) * .ulpOfOne)
        }
        for index in 0..<count {
            let parts = (0..<3).map { Double(vectors[$0 * count + index]) }
            #expect(sum[index] == right[index] + 2 * parts[0] - parts[1] + 0.5 * parts[2])
        }
        #expect(dots([], right).isEmpty)
    }

    @Test("are added with a factor", arguments: [0, 1, 9])
    func scaled(count: Int) {
        let source = (0..<count).map(Double.init)
        var target = source
        addScaled(-0.5, source, to: &target)
        #expect(target == source.map { $0 / 2 })
    }
}
