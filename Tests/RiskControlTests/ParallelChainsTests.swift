import RiskControl
import Statistics
import Testing

@Suite("Chains side by side")
struct ParallelChainsTests {
    /// A walk over p-values: [chains][length].
    private func walk(_ pValues: [[Double]], level: Double) -> [ParallelChains.Reach] {
        ParallelChains(level: level).walk(chains: pValues.count, length: pValues[0].count) { pValues[$0][$1] <= $2 }
    }

    @Test("each chain goes down the order at its part of the level until one of its hypotheses is not rejected")
    func parts() {
        let reaches = walk([[0, 0.25, 0.26, 0], [0.3, 0, 0, 0]], level: 0.5)
        #expect(reaches.map(\.count) == [2, 0] && reaches.map(\.level) == [0.25, 0.25])
    }

    @Test("one chain is a fixed sequence at the whole level")
    func single() {
        #expect(walk([[0.5, 0.5, 0.51]], level: 0.5).map(\.count) == [2])
        #expect(walk([[0.5, 0.5]], level: 0.5).map(\.count) == [2])
        #expect(walk([[0.5, 0.5]], level: 0.5).map(\.level) == [0.5])
    }

    @Test("a chain at the end hands its part to the others in equal shares, and they go on where they stopped")
    func handedOn() {
        // Parts of 1/8. Chain 1 reaches the end and gives 1/16 each to 0 and 2; that is enough for 0 alone.
        let reaches = walk([[0.1, 0.1875, 0.5], [0, 0, 0], [0.2, 0, 0]], level: 0.375)
        #expect(reaches.map(\.count) == [2, 3, 0])
        #expect(reaches.map(\.level) == [0.1875, 0.125, 0.1875])
    }

    @Test("hands on again when what was handed on brings another chain to the end: the last one has the whole level")
    func cascade() {
        // 1/12 each; 2 finishes, 0 and 1 have 1/8; 0 finishes, 1 has 1/4.
        let level = 0.25
        let reaches = walk([[0.01, 0.12], [0.24, 0.26], [0.08, 0.08]], level: level)
        #expect(reaches.map(\.count) == [2, 1, 2])
        #expect(abs(reaches[1].level - level) <= 2 * level.ulp)
    }

    @Test("a chain that stops hands nothing on, however far it came")
    func stopped() {
        let reaches = walk([[0, 0, 0, 1], [0.15, 0, 0, 0]], level: 0.25)
        #expect(reaches.map(\.count) == [3, 0] && reaches.map(\.level) == [0.125, 0.125])
    }

    @Test("all chains at the end, chains without hypotheses, and no chains at all")
    func edges() {
        #expect(walk([[0, 0], [0, 0]], level: 0.5).map(\.count) == [2, 2])
        #expect(walk([[], []], level: 0.5).map(\.count) == [0, 0])
        #expect(ParallelChains(level: 0.5).walk(chains: 0, length: 3) { _, _, _ in true }.isEmpty)
    }

    @Test("reaches what the graphical procedure on the same graph reaches: 3000 random sets of p-values")
    func graphical() {
        var generator = SplitMix64(seed: 30)
        var (finished, all) = (0, 0)
        for _ in 0..<3000 {
            let chains = Int.random(in: 1...5, using: &generator)
            let length = Int.random(in: 1...4, using: &generator)
            let level = Double.random(in: 0.01...0.3, using: &generator)
            // Around the levels that come up, from level / chains to the level; many far below, so that chains finish.
            let pValues = (0..<chains).map { _ in
                (0..<length).map { _ -> Double in
                    let factor: Double = Int.random(in: 0..<3, using: &generator) == 0 ? 1.1 : 0.3
                    return Double.random(in: 0.001...1, using: &generator) * level * factor
                }
            }
            let reaches = walk(pValues, level: level)
            let rejected = GraphicalProcedure.chains(chains, length: length, level: level)
                .rejected(pValues: Array(pValues.joined()))
            for chain in 0..<chains {
                let expected = (0..<length).filter { rejected.contains(chain * length + $0) }
                #expect(Array(0..<reaches[chain].count) == expected)
            }
            let ends = reaches.count { $0.count == length }
            if ends == chains { all += 1 } else if ends > 0 { finished += 1 }
        }
        #expect(finished > 500 && all > 300, "the cases that matter come up: \(finished), \(all)")
    }

    @Test("asks for each chain in order, never above the level, and chains that run never have more than it together")
    func neverAbove() {
        var generator = SplitMix64(seed: 31)
        for _ in 0..<2000 {
            let chains = Int.random(in: 1...7, using: &generator)
            let level = Double.random(in: 1e-6...0.999, using: &generator)
            let stops = (0..<chains).map { _ in Int.random(in: 0...4, using: &generator) }
            var levels = Array(repeating: 0.0, count: chains)
            let reaches = ParallelChains(level: level).walk(chains: chains, length: 4) { chain, position, own in
                #expect(own <= level && own >= levels[chain])
                levels[chain] = own
                return position < stops[chain]
            }
            #expect(reaches.map(\.count) == stops)
            let running = reaches.filter { $0.count < 4 }.reduce(0) { $0 + $1.level }
            #expect(running <= level * (1 + 1e-14))
        }
    }

    @Test("an error of the test comes out")
    func errors() {
        struct Broken: Error {}
        #expect(throws: Broken.self) {
            try ParallelChains(level: 0.5).walk(chains: 2, length: 2) { _, _, _ in throw Broken() }
        }
    }
}
