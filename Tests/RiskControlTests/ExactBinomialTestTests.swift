import Evaluation
import RiskControl
import Testing

@Suite("The exact binomial test on discordant pairs")
struct ExactBinomialTestTests {
    private func pValue(_ harmful: Int, _ helpful: Int, of samples: Int = 1000) -> Double {
        exactBinomialPValue(PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful))
    }

    @Test("small cases are the fractions one can count by hand")
    func byHand() {
        #expect(pValue(0, 1) == 0.5)
        #expect(abs(pValue(0, 5) - 1 / 32) < 1e-16)
        #expect(abs(pValue(1, 4) - 6 / 32) < 1e-15)
        #expect(abs(pValue(1, 1) - 3 / 4) < 1e-15)
        #expect(pValue(5, 0) == 1)
    }

    @Test("agrees with SciPy's binomtest on 8 harmful and 25 helpful flips")
    func scipy() {
        // scipy.stats.binomtest(8, 33, 0.5, alternative="less").pvalue
        #expect(abs(pValue(8, 25) / 0.002275692066177726 - 1) < 1e-12)
        #expect(abs(pValue(25, 8) / 0.9993406364228576 - 1) < 1e-12)
    }

    @Test("without discordant samples there is no evidence")
    func noDiscordance() {
        #expect(pValue(0, 0) == 1)
        #expect(pValue(0, 0, of: 0) == 1)
    }

    @Test("more helpful flips lower the p-value, more harmful ones raise it, concordant samples do nothing")
    func monotone() {
        for harmful in 0..<20 {
            for helpful in 0..<20 {
                #expect(pValue(harmful, helpful + 1) < pValue(harmful, helpful))
                // With no helpful flip p is 1 already.
                #expect(
                    helpful == 0 ? pValue(harmful + 1, 0) == 1 : pValue(harmful + 1, helpful) > pValue(harmful, helpful)
                )
                #expect(pValue(harmful, helpful) == pValue(harmful, helpful, of: 77_777))
            }
        }
    }

    @Test("its level, summed exactly over all outcomes, is at most delta for every rate of discordance")
    func level() {
        let samples = 40
        for discordance in [0.01, 0.1, 0.4, 0.9] {
            let half = discordance / 2
            for delta in [0.01, 0.05, 0.2] {
                var level = 0.0
                for harmful in 0...samples {
                    for helpful in 0...(samples - harmful) where pValue(harmful, helpful, of: samples) <= delta {
                        level += trinomial(samples, harmful, helpful, half, half)
                    }
                }
                #expect(level <= delta * (1 + 1e-12))
                #expect(discordance < 0.4 || level > delta / 4, "a test that never rejects would pass above")
            }
        }
    }

    @Test("z counts the standard errors by which helpful flips lead, and is 0 without any flip")
    func zStatistic() {
        #expect(pairedZ(PairedCounts(samples: 100, harmfulFlips: 4, helpfulFlips: 12)) == 2)
        #expect(pairedZ(PairedCounts(samples: 100, harmfulFlips: 12, helpfulFlips: 4)) == -2)
        #expect(pairedZ(PairedCounts(samples: 100, harmfulFlips: 0, helpfulFlips: 0)) == 0)
    }

    /// The probability of b harmful and c helpful flips in n independent samples.
    private func trinomial(_ n: Int, _ b: Int, _ c: Int, _ harmful: Double, _ helpful: Double) -> Double {
        var value = 1.0
        var factors = Array(repeating: harmful, count: b) + Array(repeating: helpful, count: c)
        factors += Array(repeating: 1 - harmful - helpful, count: n - b - c)
        // n! / (b! c! (n - b - c)!), a factor at a time, so that nothing overflows.
        var denominators = b > 0 ? Array(1...b) : []
        if c > 0 { denominators += 1...c }
        if n - b - c > 0 { denominators += 1...(n - b - c) }
        for index in 0..<n { value *= factors[index] * Double(index + 1) / Double(denominators[index]) }
        return value
    }
}
