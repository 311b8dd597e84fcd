import Evaluation
import RiskControl
import Statistics
import Testing

@Suite("Moments of groups")
struct GroupMomentsTests {
    /// Groups of random sizes under names that are no positions, and a difference for each sample.
    private func sample(
        using generator: inout SplitMix64, names: ClosedRange<Int> = -4...3
    ) -> (groups: [Int], differences: [Int]) {
        let count = Int.random(in: 0...25, using: &generator)
        return (
            (0..<count).map { _ in 1000 * Int.random(in: names, using: &generator) },
            (0..<count).map { _ in Int.random(in: -1...1, using: &generator) }
        )
    }

    /// The differences of each group, with its size.
    private func sums(_ groups: [Int], _ differences: [Int]) -> [(difference: Int, size: Int)] {
        Set(groups).map { name in
            let members = groups.indices.filter { groups[$0] == name }
            return (members.reduce(0) { $0 + differences[$1] }, members.count)
        }
    }

    private func moments(_ groups: [Int], _ differences: [Int]) -> GroupMoments {
        var running = GroupMoments.running(groups: groups)
        for (group, difference) in zip(groups, differences) { running.change(group: group, by: difference) }
        return running.summary
    }

    @Test("after any changes they are the sums computed from the differences as they are then: 500 random walks")
    func runningSums() {
        var generator = SplitMix64(seed: 40)
        for _ in 0..<500 {
            var (groups, differences) = sample(using: &generator)
            var running = GroupMoments.running(groups: groups)
            for (group, difference) in zip(groups, differences) { running.change(group: group, by: difference) }
            for _ in 0..<10 where !groups.isEmpty {
                let member = groups.indices.randomElement(using: &generator)!
                let difference = Int.random(in: -1...1, using: &generator)
                running.change(group: groups[member], by: difference - differences[member])
                differences[member] = difference
                let expected = sums(groups, differences)
                #expect(running.summary.differences == expected.reduce(0) { $0 + $1.difference })
                #expect(running.summary.squares == expected.reduce(0) { $0 + $1.difference * $1.difference })
                #expect(running.summary.products == expected.reduce(0) { $0 + $1.difference * $1.size })
                #expect(running.summary.squaredSizes == expected.reduce(0) { $0 + $1.size * $1.size })
                #expect(running.summary.samples == groups.count)
            }
        }
    }

    @Test(
        "z is minus the sum over groups of what exceeds the gap, over the root of its squares or of the least they can be"
    )
    func naiveZ() {
        var generator = SplitMix64(seed: 41)
        for _ in 0..<1000 {
            let (groups, differences) = sample(using: &generator)
            let allowedGap = [0, 0.01, 0.3].randomElement(using: &generator)!
            let excesses = sums(groups, differences).map { Double($0.difference) - allowedGap * Double($0.size) }
            let sizes = sums(groups, differences).reduce(0) { $0 + $1.size * $1.size }
            let square = max(
                excesses.reduce(0) { $0 + $1 * $1 }, allowedGap * (1 - allowedGap) * Double(sizes))
            let z = moments(groups, differences).z(allowedGap: allowedGap)
            guard square > 0 else {
                #expect(z == 0)
                continue
            }
            // The squares are of whole numbers of hundredths, so far from 0 that their expansion cancels little.
            let expected = -excesses.reduce(0, +) / square.squareRoot()
            #expect(abs(z - expected) <= 1e-10)
        }
    }

    @Test("z by hand: two groups at 1, one of three at -2, gap 0 and gap 1/4")
    func byHand() {
        let moments = moments([1, 2, 3, 3, 3], [1, 1, -1, -1, 0])
        #expect(moments.z(allowedGap: 0) == 0)
        // Y = 3/4, 3/4, -11/4; the sum -5/4, the squares 139/16.
        #expect(abs(moments.z(allowedGap: 0.25) - 1.25 / (139.0 / 16).squareRoot()) < 1e-15)
    }

    @Test("groups of one sample at gap 0 have the z of paired counts")
    func independent() {
        var generator = SplitMix64(seed: 42)
        for _ in 0..<200 {
            let differences = (0..<30).map { _ in Int.random(in: -1...1, using: &generator) }
            let counts = PairedCounts(
                samples: 30, harmfulFlips: differences.count { $0 == 1 }, helpfulFlips: differences.count { $0 == -1 })
            #expect(moments(Array(0..<30), differences).z(allowedGap: 0) == pairedZ(counts))
        }
    }

    @Test("dependence counts: members that always flip together are one observation")
    func dependence() {
        let differences = Array(repeating: -1, count: 36) + Array(repeating: 0, count: 14)
        let apart = moments(Array(0..<50), differences).z(allowedGap: 0)
        let together = moments((0..<50).map { $0 / 9 }, differences).z(allowedGap: 0)
        #expect(apart == 6 && together == 2)
    }

    @Test("the sum of two sets that share no group is the moments of both together")
    func addition() {
        var generator = SplitMix64(seed: 43)
        for _ in 0..<500 {
            let first = sample(using: &generator, names: -4...3)
            let second = sample(using: &generator, names: 4...9)
            let both = moments(first.groups + second.groups, first.differences + second.differences)
            #expect(moments(first.groups, first.differences) + moments(second.groups, second.differences) == both)
        }
    }

    @Test("no samples, and no difference at all, have a z of 0")
    func empty() {
        #expect(moments([], []).z(allowedGap: 0.1) == 0)
        #expect(moments([1, 1, 2], [0, 0, 0]).z(allowedGap: 0) == 0)
    }
}
