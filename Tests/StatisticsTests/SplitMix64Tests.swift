import Testing

@testable import Statistics

@Suite("SplitMix64")
struct SplitMix64Tests {
    @Test("gives the numbers of Vigna's splitmix64.c from seed 1234567")
    func reference() {
        var generator = SplitMix64(seed: 1_234_567)
        let expected: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
        ]
        #expect(expected.map { _ in generator.next() } == expected)
    }

    @Test("equal seeds repeat, different seeds part")
    func seeds() {
        var (first, second, other) = (SplitMix64(seed: 7), SplitMix64(seed: 7), SplitMix64(seed: 8))
        let numbers = (0..<100).map { _ in first.next() }
        #expect(numbers == (0..<100).map { _ in second.next() })
        #expect(Set(numbers).isDisjoint(with: (0..<100).map { _ in other.next() }))
    }

    @Test("the hash of a seed and an identity is the formula in the documentation")
    func hash() {
        func mix(_ value: UInt64) -> UInt64 {
            var z = value
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        let golden: UInt64 = 0x9E37_79B9_7F4A_7C15
        for (seed, id) in [(0, 0), (7, 1), (UInt64.max, 3), (5, UInt64.max)] as [(UInt64, UInt64)] {
            #expect(SplitMix64.hash(seed: seed, id: id) == mix(mix(seed &+ golden) &+ (id &+ 1) &* golden))
        }
    }

    @Test("the hash's high bits are uniform over identities and do not repeat across seeds")
    func hashIsUniform() {
        var counts = Array(repeating: 0, count: 64)
        for id in 0..<64_000 { counts[Int(SplitMix64.hash(seed: 7, id: UInt64(id)) >> 58)] += 1 }
        // Chi-squared with 63 degrees of freedom: mean 63, standard deviation 11.2.
        let statistic = counts.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
        #expect(statistic > 63 - 4 * 11.2 && statistic < 63 + 4 * 11.2)
        let same = (0..<1000).count { SplitMix64.hash(seed: 1, id: $0) == SplitMix64.hash(seed: 2, id: $0) }
        #expect(same == 0)
    }
}
