import Evaluation
import Foundation
import Statistics
import Testing

@testable import RiskControl

@Suite("The betting test on paired losses")
struct PairedBettingTestTests {
    @Test("agrees with NumPy, an order by splitmix64 included, for both ways to size bets")
    func numpy() throws {
        let differences = (0..<400).map { Double(($0 * 7919) % 101) / 100 - 0.6 }
        // def mix(z): z=(z^z>>30)*0xBF58476D1CE4E5B9&M; z=(z^z>>27)*0x94D049BB133111EB&M; return z^z>>31
        // order = numpy.argsort([mix((mix(seed+G&M) + (i+1)*G)&M) for i in range(400)]); x = (d[order]+1)/2
        // t = arange(400); mu = (.5+cumsum(x))/(t+2); s2 = r_[.25, (.25+cumsum((x-mu)**2))/(t+2)][:400]
        // bet = minimum(.75/(1-m), sqrt(2*log(20)/(400*s2))); 1/max(cumprod(1-bet*(x-m)))
        let plugIn = try PairedBettingTest(allowedGap: -0.05, seed: 7, strategy: .plugIn)
            .pValue(differences: differences)
        #expect(abs(plugIn / 0.002408755448523748 - 1) < 1e-8, "\(plugIn)")
        // w = 1; for t in range(400): g = (log(20) - log(w)) / (400 - t) if w < 20 else log(20) / 400
        // w *= 1 - min(.75/(1-m), sqrt(2*g/s2[t])) * (x[t]-m); best = max(best, w)
        let retargeted = try PairedBettingTest(allowedGap: -0.05, seed: 7).pValue(differences: differences)
        #expect(abs(retargeted / 0.012798050788476494 - 1) < 1e-8, "\(retargeted)")
        #expect(PairedBettingTest.order(count: 400, seed: 7).prefix(5) == [118, 351, 111, 12, 299])
    }

    @Test("bets use the past alone, and wealth stays positive whatever comes", arguments: BettingStrategy.allCases)
    func betsArePredictable(strategy: BettingStrategy) {
        var wealth = BettingWealth(mean: 0.505, largestShare: 0.75, strategy: strategy, level: 0.05, samples: 100)
        for index in 0..<200 {
            var (low, high) = (wealth, wealth)
            #expect(wealth.bet >= 0 && wealth.bet <= 0.75 / (1 - 0.505))
            low.observe(0)
            high.observe(1)
            #expect(high.logarithm >= wealth.logarithm + log(0.25) - 1e-12)
            #expect(low.logarithm >= wealth.logarithm)
            // The same bet, taken either way, is fair at the mean.
            let fair = 0.505 * exp(high.logarithm) + 0.495 * exp(low.logarithm)
            #expect(abs(fair / exp(wealth.logarithm) - 1) < 1e-12)
            wealth.observe(index % 3 == 0 ? 1 : 0.5)
        }
    }

    @Test("a difference outside its range is an error with the sample, not clipped")
    func outsideRange() {
        let test = PairedBettingTest(allowedGap: 0.01, seed: 1)
        for value in [1.0000001, -2, .nan, .infinity] {
            #expect {
                try test.pValue(differences: [0, 0, value])
            } throws: { error in
                guard case .differenceOutsideRange(let sample, _, let range) = error as? RiskControlError else {
                    return false
                }
                return sample == 2 && range == -1...1 && "\(error)".contains("sample 2")
            }
        }
    }

    @Test("does not depend on the order of a sorted table's rows more than on the seed")
    func sorted() throws {
        // A table sorted by its differences: unshuffled, a bettor wins on the first half alone.
        let differences = Array(repeating: -1.0, count: 200) + Array(repeating: 1.0, count: 200)
        for seed in 0..<20 as Range<UInt64> {
            #expect(try PairedBettingTest(allowedGap: 0, seed: seed).pValue(differences: differences) > 0.01)
        }
        var unshuffled = BettingWealth(mean: 0.5, largestShare: 0.75, strategy: .plugIn, level: 0.05, samples: 400)
        for value in differences { unshuffled.observe((value + 1) / 2) }
        #expect(unshuffled.pValue < 1e-10)
    }

    @Test("evidence lowers it: no evidence gives 1, much evidence next to 0, for large wealth too")
    func ends() throws {
        let test = PairedBettingTest(allowedGap: 0, seed: 3)
        #expect(try test.pValue(differences: []) == 1)
        #expect(try test.pValue(differences: Array(repeating: 0, count: 50)) == 1)
        #expect(try test.pValue(differences: Array(repeating: 1, count: 50)) == 1)
        #expect(try test.pValue(differences: Array(repeating: -1, count: 100_000)) == 0)
        let allowed = PairedBettingTest(allowedGap: 0.02, seed: 3)
        #expect(try allowed.pValue(differences: Array(repeating: 0, count: 3000)) < 1e-4)
    }

    @Test("groups of one at the declared size 1 are independent samples")
    func groupsOfOne() throws {
        let differences = (0..<300).map { Double(($0 * 31) % 7) / 7 - 0.5 }
        let test = PairedBettingTest(allowedGap: 0.01, seed: 9)
        let single = try test.pValue(differences: differences)
        let grouped = try test.pValue(differences: differences, groups: Array(0..<300), maximumGroupSize: 1)
        #expect(abs(single / grouped - 1) < 1e-9)
    }

    @Test("a group larger than declared, and columns of unequal length, are errors")
    func groupErrors() {
        let test = PairedBettingTest(allowedGap: 0.01, seed: 9)
        #expect(throws: RiskControlError.groupTooLarge(group: 5, size: 3, maximum: 2)) {
            try test.pValue(differences: [0, 0, 0, 0], groups: [5, 1, 5, 5], maximumGroupSize: 2)
        }
        #expect(throws: RiskControlError.unequalLengths(column: "group", seen: 1, expected: 2)) {
            try test.pValue(differences: [0, 0], groups: [5], maximumGroupSize: 2)
        }
    }

    @Test("tests that count independent samples refuse groups of several, and say what to use")
    func refusal() throws {
        let counts = PairedCounts(samples: 4, harmfulFlips: 0, helpfulFlips: 2)
        for test in PairedTest.allCases {
            #expect {
                try test.pValue(counts, allowedGap: 0, groups: [1, 2, 2, 3])
            } throws: { error in
                guard case .dependentSamples(_, 2, 2) = error as? RiskControlError else { return false }
                return "\(error)".contains("betting test on groups")
            }
            #expect(throws: RiskControlError.self) {
                try test.isRejected(counts, allowedGap: 0, at: 0.05, groups: [1, 1, 1, 1])
            }
            #expect(throws: RiskControlError.unequalLengths(column: "group", seen: 3, expected: 4)) {
                try test.pValue(counts, allowedGap: 0, groups: [1, 2, 3])
            }
            #expect(
                try test.pValue(counts, allowedGap: 0, groups: [4, 2, 7, 3]) == test.pValue(counts, allowedGap: 0))
        }
    }
}
