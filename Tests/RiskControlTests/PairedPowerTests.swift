import Evaluation
import Statistics
import Testing

@testable import RiskControl

/// A design with a power that was computed elsewhere.
private struct Golden: Sendable, CustomTestStringConvertible {
    var samples: Int
    var rates: FlipRates
    var gap: Double
    var level: Double
    var test: PairedTest
    var power: Double

    init(
        _ samples: Int, _ harmful: Double, _ helpful: Double, gap: Double = 0, level: Double = 0.05,
        test: PairedTest = .exactTrinomial, power: Double
    ) {
        (self.samples, self.gap, self.level, self.test, self.power) = (samples, gap, level, test, power)
        rates = FlipRates(harmful: harmful, helpful: helpful)
    }

    var computed: Double { test.power(samples: samples, rates: rates, allowedGap: gap, level: level) }

    var testDescription: String {
        "\(test.rawValue), n \(samples), P(b) \(rates.harmful), P(c) \(rates.helpful), gap \(gap)"
    }
}

@Suite("The exact power of the paired tests")
struct PairedPowerTests {
    // SciPy 1.17: sum over d of binom.pmf(d, n, b + c) * binom.cdf(limit(d), d, b / (b + c)), where limit(d) is the
    // largest k with binom.cdf(k, d, 0.5) <= level.
    @Test(
        "of McNemar's test is SciPy's sum over the lines",
        arguments: [
            Golden(1000, 0.02, 0.04, test: .exactBinomial, power: 0.8015324316047521),
            Golden(5000, 0.02, 0.03, test: .exactBinomial, power: 0.9291865426589904),
            Golden(200, 0.05, 0.12, level: 0.01, test: .exactBinomial, power: 0.46909437812182986),
            Golden(40, 0.1, 0.4, test: .exactBinomial, power: 0.8415878161070361),
        ])
    private func mcNemar(golden: Golden) {
        #expect(abs(golden.computed - golden.power) < 2e-11, "\(golden.computed)")
    }

    // SciPy 1.17, the same sum, where limit(d) is the largest k with p(k, d) <= level; p is 1e-6 plus the maximum over
    // 220 points t of the Clopper-Pearson interval (beta.ppf, error 1e-6) of d of n of the probability of scores at most
    // that of (k, d - k): sum over lines j of binom.pmf(j, n, t) * binom.cdf(largest k inside on line j, j, (t + gap) /
    // 2t). No p-value of these comes nearer to the level than 4e-5.
    @Test(
        "of the trinomial test is SciPy's sum over the lines, with p-values maximised on a grid",
        arguments: [
            Golden(60, 0.02, 0.05, gap: 0.1, power: 0.9484328889736713),
            Golden(150, 0.03, 0.1, level: 0.01, power: 0.5309305089156454),
            Golden(1000, 0.02, 0.03, gap: 0.01, power: 0.8785540483363551),
            Golden(1000, 0.005, 0.005, gap: 0.01, power: 0.8800476178976213),
            Golden(1000, 0.01, 0, gap: 0.02, power: 0.792511601909725),
            Golden(5000, 0.02, 0.03, power: 0.9370231903223286),
        ])
    private func trinomial(golden: Golden) {
        #expect(abs(golden.computed - golden.power) < 2e-11, "\(golden.computed)")
    }

    @Test("counts an outcome as not rejected where the bound on its p-value is above the level and the p-value is not")
    func roundsTowardLessPower() {
        // The same sum in SciPy has one outcome more, whose p-value is 0.04997.
        let golden = Golden(1000, 0.02, 0.04, power: 0.8335279233576723)
        #expect(golden.computed <= golden.power && abs(golden.computed - 0.833) < 0.0005, "\(golden.computed)")
    }

    @Test("is the sum over all outcomes, one by one", arguments: PairedTest.allCases, [1, 2, 9, 40])
    func enumeration(test: PairedTest, samples: Int) throws {
        let rates = [(0.05, 0.2), (0.02, 0.02), (0, 0.3), (0.1, 0), (0, 0), (0.4, 0.6), (0, 1)]
        for (gap, level) in [(0, 0.05), (0.1, 0.05), (0.3, 0.2)] {
            var rejected: [(b: Int, c: Int)] = []
            for b in 0...samples {
                for c in 0...(samples - b) {
                    let counts = PairedCounts(samples: samples, harmfulFlips: b, helpfulFlips: c)
                    if test.pValue(counts, allowedGap: gap) <= level { rejected.append((b, c)) }
                }
            }
            for (harmful, helpful) in rates {
                let first = Binomial(trials: samples, probability: harmful)
                let rest = min(1, helpful / (1 - harmful))
                let sum = rejected.reduce(0) {
                    $0 + first.probability(of: $1.b)
                        * Binomial(trials: samples - $1.b, probability: rest).probability(of: $1.c)
                }
                let power = test.power(
                    samples: samples, rates: FlipRates(harmful: harmful, helpful: helpful), allowedGap: gap,
                    level: level)
                #expect(power <= sum + 1e-15 && power > sum - 1.5e-12, "\(harmful) \(helpful) \(gap): \(power) \(sum)")
            }
        }
    }

    @Test("is how often draws are rejected, within four standard errors")
    func simulation() throws {
        let rates = FlipRates(harmful: 0.03, helpful: 0.05)
        let (samples, gap, level, draws) = (300, 0.01, 0.1, 4000)
        var generator = SplitMix64(seed: 11)
        var rejections = 0
        for _ in 0..<draws {
            var (harmful, helpful) = (0, 0)
            for _ in 0..<samples {
                let place = Double.random(in: 0..<1, using: &generator)
                if place < rates.harmful {
                    harmful += 1
                } else if place < rates.discordance {
                    helpful += 1
                }
            }
            let counts = PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful)
            if PairedTest.exactTrinomial.isRejected(counts, allowedGap: gap, at: level) { rejections += 1 }
        }
        let power = PairedTest.exactTrinomial.power(samples: samples, rates: rates, allowedGap: gap, level: level)
        let error = (power * (1 - power) / Double(draws)).squareRoot()
        #expect(abs(Double(rejections) / Double(draws) - power) < 4 * error, "\(rejections) of \(draws), \(power)")
    }

    @Test("falls by no more than the lines left out", arguments: [1e-10, 1e-6, 1e-3, 0.1])
    func leftOut(probability: Double) {
        let rates = FlipRates(harmful: 0.02, helpful: 0.03)
        let exact = PairedTest.exactTrinomial.power(samples: 2000, rates: rates, allowedGap: 0.005, level: 0.05)
        let short = PairedTest.exactTrinomial.power(
            samples: 2000, rates: rates, allowedGap: 0.005, level: 0.05, leftOut: probability)
        #expect(short < exact && short > exact - probability)
    }

    @Test("reaches a target exactly when it is as large as the target", arguments: PairedTest.allCases)
    func decision(test: PairedTest) {
        let rates = FlipRates(harmful: 0.01, helpful: 0.03)
        let power = test.power(samples: 600, rates: rates, allowedGap: 0, level: 0.05)
        for (target, answer) in [
            (power, true), (power * (1 + 1e-12), false), (power - 0.1, true), (power + 0.1, false), (0.01, true),
            (0.999, false),
        ] {
            let reached = test.hasPower(target, samples: 600, rates: rates, allowedGap: 0, level: 0.05)
            #expect(reached == answer, "\(target) of \(power)")
        }
    }

    @Test("is 0 without samples, and below the level where the gap is as large as the one allowed")
    func nothing() {
        let rates = FlipRates(harmful: 0.03, helpful: 0.02)
        let test = PairedTest.exactTrinomial
        #expect(test.power(samples: 0, rates: rates, allowedGap: 0.01, level: 0.05) == 0)
        #expect(test.power(samples: 2000, rates: rates, allowedGap: 0.01, level: 0.05) <= 0.05)
        #expect(test.power(samples: 2000, rates: rates, allowedGap: 0.02, level: 1e-7) == 0, "below the nuisance error")
    }

    @Test("is near its normal approximation when hundreds of flips are expected", arguments: PairedTest.allCases)
    func approximation(test: PairedTest) {
        for (samples, harmful, helpful) in [(8000, 0.02, 0.024), (20_000, 0.01, 0.011), (4000, 0.1, 0.12)] {
            for gap in [0, 0.0025, 0.005] {
                let rates = FlipRates(harmful: harmful, helpful: helpful)
                let exact = test.power(samples: samples, rates: rates, allowedGap: gap, level: 0.05)
                let normal = NormalPower(test: test, rates: rates, allowedGap: gap, level: 0.05)
                #expect(abs(normal.power(samples: samples) - exact) < 0.005, "\(samples) \(gap): \(exact)")
                let needed = normal.samples(power: exact)
                #expect(abs(needed / Double(samples) - 1) < 0.02, "\(needed), not \(samples)")
            }
        }
    }

    @Test("takes rates from counts")
    func rates() {
        let rates = FlipRates(PairedCounts(samples: 200, harmfulFlips: 3, helpfulFlips: 8))
        #expect(rates == FlipRates(harmful: 0.015, helpful: 0.04))
        #expect(abs(rates.gap + 0.025) < 1e-15 && abs(rates.discordance - 0.055) < 1e-15)
        #expect(FlipRates(PairedCounts(samples: 10, harmfulFlips: 3, helpfulFlips: 7)).discordance == 1)
    }
}
