import Evaluation
import Statistics
import Testing

@testable import RiskControl

@Suite("The exact interval of the risk gap")
struct RiskGapIntervalTests {
    private func counts(_ harmful: Int, _ helpful: Int, of samples: Int) -> PairedCounts {
        PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful)
    }

    @Test("each end errs with at most what it may, summed over all outcomes", arguments: [1, 3, 12, 40])
    func coverage(samples: Int) {
        let error = 0.05
        var bounds: [(b: Int, c: Int, upper: Double)] = []
        for b in 0...samples {
            for c in 0...(samples - b) {
                bounds.append(
                    (b, c, RiskGapInterval.upperBound(counts(b, c, of: samples), errorProbability: error)))
            }
        }
        var largest = 0.0
        for harmful in [0, 0.001, 0.01, 0.03, 0.08, 0.2, 0.35, 0.5, 0.9] {
            for helpful in [0, 0.002, 0.02, 0.05, 0.1, 0.3, 0.5] where harmful + helpful <= 1 {
                let (first, rest) = (Binomial(trials: samples, probability: harmful), min(1, helpful / (1 - harmful)))
                let missed = bounds.filter { $0.upper < harmful - helpful }.reduce(0) {
                    $0 + first.probability(of: $1.b)
                        * Binomial(trials: samples - $1.b, probability: rest).probability(of: $1.c)
                }
                largest = max(largest, missed)
                #expect(missed <= error, "\(harmful) \(helpful): \(missed)")
            }
        }
        #expect(samples < 12 || largest > 0.02, "a bound that is always 1 would pass above: \(largest)")
    }

    @Test("without helpful flips and with all certain it is the binomial bound, nearly")
    func binomialCases() {
        // No flip in 1000: the gap is as large as P(b), at most 1 - 0.025^(1/1000) = 0.00368.
        let none = RiskGapInterval(counts(0, 0, of: 1000))
        #expect(none.upper > 0.00368 && none.upper < 0.0045)
        #expect(none.lower == -none.upper)
        let all = RiskGapInterval(counts(50, 0, of: 50))
        #expect(all.upper == 1 && all.lower < 0.93 && all.lower > 0.85)
    }

    @Test("contains the observed gap, mirrors when the flips are exchanged, and widens with the confidence")
    func shape() {
        for (b, c, n) in [(8, 25, 2121), (0, 3, 40), (30, 10, 900), (5, 5, 10), (120, 150, 5000)] {
            let interval = RiskGapInterval(counts(b, c, of: n))
            let mirrored = RiskGapInterval(counts(c, b, of: n))
            let wider = RiskGapInterval(counts(b, c, of: n), confidence: 0.99)
            let gap = Double(b - c) / Double(n)
            #expect(interval.lower < gap && gap < interval.upper)
            #expect(interval.lower == -mirrored.upper && interval.upper == -mirrored.lower)
            #expect(wider.lower < interval.lower && interval.upper < wider.upper)
        }
    }

    @Test("is hardly wider than the normal interval when counts are large")
    func width() {
        let (b, c, n) = (2000, 2500, 100_000)
        let interval = RiskGapInterval(counts(b, c, of: n))
        let gap = Double(b - c) / Double(n)
        let error = (Double(b + c) / Double(n) - gap * gap).squareRoot() / Double(n).squareRoot()
        #expect(interval.upper - gap < 1.03 * 1.96 * error && interval.upper - gap > 1.95 * error)
        #expect(gap - interval.lower < 1.03 * 1.96 * error && gap - interval.lower > 1.95 * error)
    }

    @Test("agrees with the test: what its upper end excludes, the test rejects, nearly")
    func agreesWithTest() {
        for (b, c, n) in [(8, 25, 2121), (3, 9, 300), (40, 52, 4000), (2, 0, 500)] {
            let upper = RiskGapInterval.upperBound(counts(b, c, of: n), errorProbability: 0.05)
            guard upper > 0 else { continue }
            let value = ExactTrinomialTest(allowedGap: upper).pValue(counts(b, c, of: n))
            #expect(abs(value - 0.05) < 0.01, "\(value)")
        }
    }

    @Test("without samples it says nothing, and of a million it is as wide as the normal approximation says")
    func ends() {
        let nothing = RiskGapInterval(counts(0, 0, of: 0))
        #expect(nothing.lower == -1 && nothing.upper == 1)
        let interval = RiskGapInterval(counts(20_000, 25_000, of: 1_000_000))
        // Standard error of the gap: sqrt(0.045 - 0.005²) / 1000.
        let halfWidth = 1.959964 * (0.045 - 0.000025).squareRoot() / 1000
        #expect(abs(interval.lower - (-0.005 - halfWidth)) < 0.02 * halfWidth)
        #expect(abs(interval.upper - (-0.005 + halfWidth)) < 0.02 * halfWidth)
    }
}
