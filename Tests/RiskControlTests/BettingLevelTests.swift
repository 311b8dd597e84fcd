import Evaluation
import Foundation
import Statistics
import Testing

@testable import RiskControl

/// Levels of the betting test by simulation, at distributions whose mean difference is the allowed gap.
@Suite("The level of the betting test")
struct BettingLevelTests {
    static let draws = 500
    static let gap = 0.01

    /// A distribution of paired differences with mean ``gap`` in a range.
    struct Source: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var range: ClosedRange<Double>
        var draw: @Sendable (inout SplitMix64) -> Double
    }

    static func uniform(_ generator: inout SplitMix64) -> Double { Double(generator.next() >> 11) * 0x1p-53 }

    static let sources = [
        Source(testDescription: "mostly zero, 0/1 losses", range: -1...1) {
            let u = uniform(&$0)
            return u < 0.03 ? 1 : u < 0.05 ? -1 : 0
        },
        Source(testDescription: "no helpful flip", range: -1...1) { uniform(&$0) < 0.01 ? 1 : 0 },
        Source(testDescription: "skewed to losses", range: -0.1...1) {
            uniform(&$0) < 0.03 ? 1 : (0.01 - 0.03) / 0.97
        },
        Source(testDescription: "skewed to gains", range: -1...0.2) {
            uniform(&$0) < 0.02 ? -1 : (0.01 + 0.02) / 0.98
        },
        Source(testDescription: "uniform", range: -1...1) { 0.01 + 0.9 * (2 * uniform(&$0) - 1) },
    ]

    static func rate(seed: UInt64, isRejected: (inout SplitMix64) -> Bool) -> Double {
        var generator = SplitMix64(seed: seed)
        var rejections = 0
        for _ in 0..<draws where isRejected(&generator) { rejections += 1 }
        return Double(rejections) / Double(draws)
    }

    static func holds(_ rate: Double) -> Bool { LevelSimulationTests.holdsLevel(rate, draws: draws) }

    @Test(
        "is at most delta on bounded, skewed and mostly-zero differences", arguments: sources, BettingStrategy.allCases)
    func level(source: Source, strategy: BettingStrategy) {
        let rate = Self.rate(seed: 21) { generator in
            let test = PairedBettingTest(
                allowedGap: Self.gap, range: source.range, seed: generator.next(), strategy: strategy)
            let differences = (0..<600).map { _ in source.draw(&generator) }
            return try! test.pValue(differences: differences) <= 0.05
        }
        #expect(Self.holds(rate), "\(rate)")
    }

    /// Groups of one to five samples of which half flip together, with a mean of the allowed gap per sample.
    static func groups(_ generator: inout SplitMix64) -> (differences: [Double], groups: [Int]) {
        var (differences, groups): ([Double], [Int]) = ([], [])
        for group in 0..<200 {
            let u = uniform(&generator)
            let together = u < 0.105 ? 1.0 : u < 0.195 ? -1.0 : 0.0
            for _ in 0..<(1 + Int(generator.next() % 5)) {
                let own = uniform(&generator)
                differences.append(
                    generator.next() & 1 == 0 ? together : own < 0.055 ? 1 : own < 0.1 ? -1 : 0)
                groups.append(group)
            }
        }
        return (differences, groups)
    }

    @Test("is at most delta when members of a group flip together and the unit is the group")
    func groups() {
        let rate = Self.rate(seed: 22) { generator in
            let (differences, groups) = Self.groups(&generator)
            return try! PairedBettingTest(allowedGap: 0.0125, seed: generator.next())
                .pValue(differences: differences, groups: groups, maximumGroupSize: 5) <= 0.05
        }
        #expect(Self.holds(rate), "\(rate)")
    }

    @Test("is caught above delta when members that flip together are counted as independent samples")
    func groupsIgnored() {
        let rate = Self.rate(seed: 23) { generator in
            var counts = PairedCounts(samples: 1000, harmfulFlips: 0, helpfulFlips: 0)
            for _ in 0..<200 {
                let together = Self.uniform(&generator)
                for _ in 0..<5 {
                    let u = generator.next() & 1 == 0 ? together : Self.uniform(&generator)
                    if u < 0.1 { counts.harmfulFlips += 1 } else if u < 0.2 { counts.helpfulFlips += 1 }
                }
            }
            return exactBinomialPValue(counts) <= 0.05
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("is caught above delta when a bet looks at the observation it is placed on")
    func lookAhead() {
        let rate = Self.rate(seed: 24) { generator in
            var (logarithm, largest) = (0.0, 0.0)
            var wealth = BettingWealth(
                mean: (1 + Self.gap) / 2, largestShare: 0.75, strategy: .plugIn, level: 0.05, samples: 600)
            for _ in 0..<600 {
                let value = (Self.sources[0].draw(&generator) + 1) / 2
                // Half the stake where it sees a loss.
                let bet = value > wealth.mean ? wealth.bet / 2 : wealth.bet
                logarithm += log1p(-bet * (value - wealth.mean))
                wealth.observe(value)
                largest = max(largest, logarithm)
            }
            return exp(-largest) <= 0.05
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("is caught above delta when losses outside the range are clipped to it")
    func clipped() {
        let rate = Self.rate(seed: 25) { generator in
            // Mean 0.01, by one loss of 10 in a hundred samples.
            let differences = (0..<600).map { _ in
                min(1, Self.uniform(&generator) < 0.01 ? 10 : (0.01 - 0.1) / 0.99)
            }
            return try! PairedBettingTest(allowedGap: Self.gap, seed: generator.next())
                .pValue(differences: differences) <= 0.05
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("and it has power: on 0/1 losses not far from the exact test's .88, and more when bets are retargeted")
    func power() {
        let rates = BettingStrategy.allCases.map { strategy in
            Self.rate(seed: 26) { generator in
                let differences = (0..<1000).map { _ -> Double in
                    let u = Self.uniform(&generator)
                    return u < 0.02 ? 1 : u < 0.05 ? -1 : 0
                }
                return try! PairedBettingTest(allowedGap: Self.gap, seed: generator.next(), strategy: strategy)
                    .pValue(differences: differences) <= 0.05
            }
        }
        #expect(rates[0] > 0.65 && rates[1] > 0.78, "\(rates)")
    }
}
