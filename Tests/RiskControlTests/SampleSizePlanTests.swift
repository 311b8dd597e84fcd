import Evaluation
import Statistics
import Testing

@testable import RiskControl

@Suite("A plan of the number of samples")
struct SampleSizePlanTests {
    /// Flip rates and a gap to certify.
    struct Case: Sendable, CustomTestStringConvertible {
        var rates: FlipRates
        var gap: Double
        var test = PairedTest.exactTrinomial
        var power = 0.8
        var level = 0.05

        init(
            _ harmful: Double, _ helpful: Double, gap: Double = 0, test: PairedTest = .exactTrinomial,
            power: Double = 0.8, level: Double = 0.05
        ) {
            rates = FlipRates(harmful: harmful, helpful: helpful)
            (self.gap, self.test, self.power, self.level) = (gap, test, power, level)
        }

        var plan: SampleSizePlan { SampleSizePlan(level: level, power: power, test: test) }

        var needed: SampleSizePlan.Design? {
            guard case .needed(let design) = plan.samples(for: rates, allowedGap: gap) else { return nil }
            return design
        }

        func exactPower(samples: Int, gap: Double? = nil) -> Double {
            test.power(samples: samples, rates: rates, allowedGap: gap ?? self.gap, level: level)
        }

        var testDescription: String { "P(b) \(rates.harmful), P(c) \(rates.helpful), gap \(gap), \(test.rawValue)" }
    }

    static let cases = [
        Case(0.02, 0.04), Case(0.02, 0.03, gap: 0.01), Case(0.005, 0.005, gap: 0.01), Case(0.01, 0.012, gap: 0.005),
        Case(0.02, 0.02, gap: 0.01, power: 0.95), Case(0.001, 0.001, gap: 0.0025), Case(0.1, 0.3),
        Case(0.02, 0.04, test: .exactBinomial), Case(0.02, 0.03, test: .exactBinomial, power: 0.9, level: 0.01),
        Case(0.03, 0.02, gap: 0.02, level: 0.0125),
    ]

    @Test("has the power asked for, which five per cent fewer have not", arguments: cases)
    func enough(design: Case) throws {
        let needed = try #require(design.needed)
        #expect(!needed.isApproximate && needed.allowedGap == design.gap)
        #expect(needed.power >= design.power && needed.power == design.exactPower(samples: needed.samples))
        #expect(design.exactPower(samples: needed.samples * 95 / 100) < design.power)
        for more in [105, 115, 130, 200] {
            #expect(design.exactPower(samples: needed.samples * more / 100) >= design.power, "\(more) %")
        }
    }

    @Test("lies above the teeth of the saw: a smaller number has the power, and one between has not")
    func saw() throws {
        let design = Case(0.01, 0, gap: 0.02)
        let needed = try #require(design.needed)
        let grid = SampleSizePlan.grid.filter { (needed.samples / 2...needed.samples * 2).contains($0) }
        let powers = grid.map { design.exactPower(samples: $0) }
        let first = try #require(powers.firstIndex { $0 >= 0.8 })
        let last = try #require(powers.lastIndex { $0 < 0.8 })
        #expect(first < last && grid[last + 1] == needed.samples)
    }

    @Test("without flips is the number at which no harmful flip rejects: 299 for 1 %")
    func noFlips() throws {
        // The p-value is (1 - gap)^n + 1e-6.
        let needed = try #require(Case(0, 0, gap: 0.01).needed)
        #expect(needed.samples == 299 && needed.power > 0.999_999)
    }

    @Test("with helpful flips only is the number that has the five which McNemar's test needs")
    func helpfulOnly() throws {
        let needed = try #require(Case(0, 0.1, test: .exactBinomial).needed)
        let hasFive = { Binomial(trials: $0, probability: 0.1).upperTail(from: 5) }
        #expect(needed.samples == (1...).first { hasFive($0) >= 0.8 })
        #expect(abs(needed.power - hasFive(needed.samples)) < 1e-11)
    }

    @Test("is impossible where the gap of the rates is not below the gap that is tested")
    func impossible() {
        let plan = SampleSizePlan()
        // 0.03 - 0.02 is a little less than 0.01 in Double.
        for (harmful, helpful, gap) in [(0.03, 0.02, 0.01), (0.03, 0.02, 0.005), (0.02, 0.02, 0), (0, 0, 0)] {
            let rates = FlipRates(harmful: harmful, helpful: helpful)
            #expect(plan.samples(for: rates, allowedGap: gap) == .impossible)
        }
        let binomial = SampleSizePlan(test: .exactBinomial)
        #expect(binomial.samples(for: FlipRates(harmful: 0.02, helpful: 0.02), allowedGap: 0.1) == .impossible)
    }

    @Test("is more than its limit where the rates hardly differ from what is tested, or the level can never be reached")
    func moreThanLimit() {
        let rates = FlipRates(harmful: 0.01, helpful: 0.01001)
        #expect(SampleSizePlan().samples(for: rates, allowedGap: 0) == .moreThan(SampleSizePlan.sampleLimit))
        let tiny = SampleSizePlan(level: 1e-7)
        let clear = FlipRates(harmful: 0, helpful: 0.1)
        #expect(tiny.samples(for: clear, allowedGap: 0.1) == .moreThan(SampleSizePlan.sampleLimit))
        #expect(tiny.smallestAllowedGap(samples: 1000, rates: clear) == nil)
    }

    @Test("says that it is approximate when an exact power would take too long")
    func approximate() throws {
        let design = Case(0.02, 0.02, gap: 0.001)
        let needed = try #require(design.needed)
        #expect(needed.isApproximate && needed.power >= 0.8)
        #expect(Double(needed.samples) * design.rates.discordance > SampleSizePlan.exactFlips)
        // (1.645 + 0.842)^2 P(b or c) / gap^2, and the grid.
        #expect(abs(Double(needed.samples) / 247_300 - 1) < 0.011)
    }

    @Test("needs fewer samples for a larger gap, a smaller power and a larger level")
    func monotone() throws {
        let samples = { (design: Case) in try #require(design.needed).samples }
        let base = try samples(Case(0.01, 0.015, gap: 0.005))
        #expect(try samples(Case(0.01, 0.015, gap: 0.01)) < base)
        #expect(try samples(Case(0.01, 0.015, gap: 0.005, power: 0.7)) < base)
        #expect(try samples(Case(0.01, 0.015, gap: 0.005, level: 0.1)) < base)
        #expect(try samples(Case(0.01, 0.012, gap: 0.005)) > base)
    }

    @Test("looks at numbers of samples at most 1 % apart, up to its limit")
    func grid() {
        let grid = SampleSizePlan.grid
        #expect(grid.first == 1 && grid.last == SampleSizePlan.sampleLimit)
        for (number, next) in zip(grid, grid.dropFirst()) {
            // Each of the two is rounded by at most a half.
            #expect(number < next && Double(next) <= 1.01 * Double(number) + 1.01)
        }
    }
}

@Suite("The smallest gap that a number of samples certifies")
struct SmallestAllowedGapTests {
    @Test(
        "has the power asked for, which one step less has not",
        arguments: [300, 1000, 2121, 10_000], [(0.01, 0.012), (0.02, 0.02), (0.005, 0), (0.03, 0.02)])
    func smallest(samples: Int, rates: (harmful: Double, helpful: Double)) throws {
        let rates = FlipRates(harmful: rates.harmful, helpful: rates.helpful)
        let plan = SampleSizePlan(level: 0.05, power: 0.8)
        let design = try #require(plan.smallestAllowedGap(samples: samples, rates: rates))
        let step = (design.allowedGap * 10_000).rounded()
        #expect(design.samples == samples && !design.isApproximate && design.allowedGap == step / 10_000)
        #expect(design.power >= 0.8 && design.allowedGap > rates.gap)
        let less = plan.powers(samples: samples, rates: rates, allowedGaps: [(step - 1) / 10_000])
        #expect(less[0].power < 0.8)
    }

    @Test("is 0 where the policy is clearly better, and agrees with the number of samples needed")
    func consistent() throws {
        let plan = SampleSizePlan()
        let better = FlipRates(harmful: 0.01, helpful: 0.05)
        #expect(plan.smallestAllowedGap(samples: 2000, rates: better)?.allowedGap == 0)
        let rates = FlipRates(harmful: 0.01, helpful: 0.012)
        guard case .needed(let design) = plan.samples(for: rates, allowedGap: 0.005) else {
            Issue.record("a number of samples exists")
            return
        }
        let gap = try #require(plan.smallestAllowedGap(samples: design.samples, rates: rates)).allowedGap
        #expect(gap <= 0.005 && gap >= 0.0048, "\(gap)")
    }

    @Test("is nil where no gap is certified, for McNemar's test wherever 0 is not")
    func none() {
        #expect(SampleSizePlan().smallestAllowedGap(samples: 1, rates: FlipRates(harmful: 0.3, helpful: 0)) == nil)
        #expect(SampleSizePlan().smallestAllowedGap(samples: 0, rates: FlipRates(harmful: 0, helpful: 0)) == nil)
        let binomial = SampleSizePlan(test: .exactBinomial)
        #expect(binomial.smallestAllowedGap(samples: 1000, rates: FlipRates(harmful: 0.02, helpful: 0.03)) == nil)
        let better = FlipRates(harmful: 0.02, helpful: 0.05)
        #expect(binomial.smallestAllowedGap(samples: 1000, rates: better)?.allowedGap == 0)
    }

    @Test("the power rises with the gap that is allowed", arguments: [400, 1500])
    func powers(samples: Int) {
        let plan = SampleSizePlan()
        for (harmful, helpful) in [(0.01, 0.012), (0.004, 0), (0.03, 0.025)] {
            let rates = FlipRates(harmful: harmful, helpful: helpful)
            let usual = plan.powers(samples: samples, rates: rates)
            #expect(usual.map(\.allowedGap) == [0, 0.0025, 0.005, 0.01, 0.02])
            let fine = plan.powers(
                samples: samples, rates: rates, allowedGaps: (0...25).map { Double($0) / 1000 })
            for designs in [usual, fine] {
                for (less, more) in zip(designs, designs.dropFirst()) {
                    #expect(less.power <= more.power + 1e-12, "\(less) \(more)")
                }
            }
        }
    }

    @Test("says that it is approximate when an exact power would take too long")
    func approximate() throws {
        let rates = FlipRates(harmful: 0.02, helpful: 0.02)
        let design = try #require(SampleSizePlan().smallestAllowedGap(samples: 1_000_000, rates: rates))
        // 2.486 standard errors.
        #expect(design.isApproximate && abs(design.allowedGap - 2.486 * 0.2 / 1000) < 1e-4)
        let powers = SampleSizePlan().powers(samples: 1_000_000, rates: rates)
        #expect(powers.count == 5 && powers.allSatisfy { $0.isApproximate })
    }
}
