import Evaluation
import RiskControl
import Statistics
import Testing

@Suite("Tests for comparison")
struct ComparisonPValuesTests {
    @Test("agree with SciPy on small cases")
    func scipy() {
        let counts = PairedCounts(samples: 1000, harmfulFlips: 5, helpfulFlips: 30)
        // scipy.stats.binom.cdf(5, 1000, 0.01)
        #expect(abs(clippedLossPValue(counts, allowedGap: 0.01) / 0.0661395116072514 - 1) < 1e-12)
        // x = (-0.025 + 1) / 2; m = 0.505; exp(-1000 (x ln(x/m) + (1-x) ln((1-x)/(1-m))))
        let hoeffding = hoeffdingPValue(meanDifference: -0.025, samples: 1000, allowedGap: 0.01)
        #expect(abs(hoeffding / 0.5419706695522319 - 1) < 1e-8)
        // min of that and e * scipy.stats.binom.cdf(ceil(1000 x), 1000, m), at -0.16: 420
        let bentkus = hoeffdingBentkusPValue(meanDifference: -0.16, samples: 1000, allowedGap: -0.1)
        #expect(abs(bentkus / 0.0820248520684982 - 1) < 1e-8)
    }

    @Test("two intervals: at the p-value the bounds just meet the gap")
    func twoIntervals() {
        for (b, c, gap) in [(5, 30, 0.01), (0, 0, 0.01), (2, 12, 0.0), (10, 10, 0.02)] {
            let counts = PairedCounts(samples: 1000, harmfulFlips: b, helpfulFlips: c)
            let value = twoIntervalsPValue(counts, allowedGap: gap)
            let difference = { (delta: Double) in
                BinomialInterval.upperBound(successes: b, trials: 1000, errorProbability: delta / 2)
                    - BinomialInterval.lowerBound(successes: c, trials: 1000, errorProbability: delta / 2)
            }
            #expect(value < 1 && difference(value) <= gap && difference(value * 0.999_99) > gap, "\(value)")
        }
        #expect(twoIntervalsPValue(PairedCounts(samples: 10, harmfulFlips: 3, helpfulFlips: 0), allowedGap: 0.01) == 1)
    }

    @Test("no evidence is 1, without samples too")
    func noEvidence() {
        let nothing = PairedCounts(samples: 0, harmfulFlips: 0, helpfulFlips: 0)
        #expect(clippedLossPValue(nothing, allowedGap: 0.01) == 1)
        #expect(twoIntervalsPValue(nothing, allowedGap: 0.01) == 1)
        #expect(hoeffdingPValue(meanDifference: 0.02, samples: 100, allowedGap: 0.01) == 1)
        #expect(hoeffdingBentkusPValue(meanDifference: 0.02, samples: 0, allowedGap: 0.01) == 1)
    }

    /// A test under a name, and whether it rejects at 0.05.
    static let tests: [(name: String, isRejected: @Sendable (PairedCounts, Double) -> Bool)] = [
        ("hoeffding", { hoeffdingPValue(meanDifference: $0.riskGap, samples: $0.samples, allowedGap: $1) <= 0.05 }),
        (
            "hoeffding-bentkus",
            { hoeffdingBentkusPValue(meanDifference: $0.riskGap, samples: $0.samples, allowedGap: $1) <= 0.05 }
        ),
        ("clipped", { clippedLossPValue($0, allowedGap: $1) <= 0.05 }),
        ("two intervals", { twoIntervalsPValue($0, allowedGap: $1) <= 0.05 }),
    ]

    @Test("are valid, summed over all outcomes, and all weaker than the exact trinomial test")
    func levelAndPower() {
        for (name, isRejected) in Self.tests {
            for gap in [0.01, 0.1] {
                let table = RejectionTable(samples: 150) { isRejected($0, gap) }
                for helpful in [0.0, 0.01, 0.05, 0.2] {
                    let level = table.probability(harmfulRate: helpful + gap, helpfulRate: helpful)
                    #expect(level <= 0.05, "\(name) \(gap) \(helpful): \(level)")
                }
            }
            let lines = RejectionTable.lines(samples: 1000, discordance: 0.05)
            let table = RejectionTable(samples: 1000, lines: lines) { isRejected($0, 0.01) }
            let power = table.probability(harmfulRate: 0.02, helpfulRate: 0.03)
            #expect(power < 0.5, "\(name): \(power); the trinomial test has .88")
        }
    }
}
