import Evaluation
import Foundation
import Statistics
import Testing

@testable import RiskControl

/// The p-value by definition: the most likely rates by bisection of the likelihood's derivative, the region by looking
/// at all outcomes, probabilities by products, the supremum by a grid that golden sections polish.
private struct BruteForce {
    let samples: Int
    let gap: Double
    private let logFactorials: [Double]
    private let scores: [[Double]]

    init(samples: Int, gap: Double) {
        self.samples = samples
        self.gap = gap
        logFactorials = (0...samples).reduce(into: []) { $0.append(($0.last ?? 0) + log(Double(max(1, $1)))) }
        scores = (0...samples).map { b in (0...(samples - b)).map { c in Self.score(samples, gap, b, c) } }
    }

    private static func score(_ samples: Int, _ gap: Double, _ b: Int, _ c: Int) -> Double {
        let (n, harmful, helpful) = (Double(samples), Double(b), Double(c))
        // The log-likelihood is concave in P(c), so its derivative falls.
        var (low, high) = (0.0, (1 - gap) / 2)
        for _ in 0..<200 {
            let q = (low + high) / 2
            let rise = (b == 0 ? 0 : harmful / (q + gap)) + (c == 0 ? 0 : helpful / q)
            let fall = 2 * (n - harmful - helpful) / (1 - 2 * q - gap)
            if rise > fall { low = q } else { high = q }
        }
        let variance = 2 * low + gap - gap * gap
        let difference = harmful - helpful - n * gap
        return variance < 1e-50 ? 0 : difference / (n * variance).squareRoot()
    }

    /// The supremum of the probability of scores at most the observed one, over discordances in a range.
    func supremum(_ counts: PairedCounts, _ discordance: ClosedRange<Double>) -> Double {
        let observed = scores[counts.harmfulFlips][counts.helpfulFlips]
        var inside: [(b: Double, c: Double, rest: Double, coefficient: Double)] = []
        for b in 0...samples {
            for c in 0...(samples - b) where scores[b][c] <= observed + 1e-9 * max(1, abs(observed)) {
                let rest = samples - b - c
                inside.append(
                    (
                        Double(b), Double(c), Double(rest),
                        logFactorials[samples] - logFactorials[b] - logFactorials[c] - logFactorials[rest]
                    ))
            }
        }
        let probability = { (q: Double) -> Double in
            let logs = (log(max(q + gap, 1e-300)), log(max(q, 1e-300)), log(max(1 - 2 * q - gap, 1e-300)))
            return inside.reduce(0) {
                $0 + exp($1.coefficient + $1.b * logs.0 + $1.c * logs.1 + $1.rest * logs.2)
            }
        }
        let low = max(0, (discordance.lowerBound - gap) / 2)
        let high = (discordance.upperBound - gap) / 2
        guard high > low else { return 0 }
        let steps = 160
        let grid = (0...steps).map { low + (high - low) * Double($0) / Double(steps) }
        let values = grid.map(probability)
        var best = values.max()!
        for index in 0...steps where values[index] > best - 1e-3 {
            guard values[index] >= values[max(0, index - 1)], values[index] >= values[min(steps, index + 1)] else {
                continue
            }
            var (left, right) = (grid[max(0, index - 1)], grid[min(steps, index + 1)])
            for _ in 0..<40 {
                let (first, second) = (left + 0.382 * (right - left), left + 0.618 * (right - left))
                let (a, b) = (probability(first), probability(second))
                best = max(best, a, b)
                if a > b { right = second } else { left = first }
            }
        }
        return best
    }
}

@Suite("The exact trinomial test")
struct ExactTrinomialTestTests {
    private func counts(_ harmful: Int, _ helpful: Int, of samples: Int) -> PairedCounts {
        PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful)
    }

    @Test(
        "is never below brute enumeration with a polished supremum, above it by the nuisance's error and 1e-4 at most",
        arguments: [1, 4, 11, 25, 60], [0, 0.003, 0.02, 0.1])
    func bruteForce(samples: Int, gap: Double) {
        let brute = BruteForce(samples: samples, gap: gap)
        var generator = SplitMix64(seed: UInt64(samples) &* 1000 + UInt64(gap * 1000))
        for _ in 0..<(samples > 30 ? 12 : 25) {
            let discordant = Int.random(in: 0...min(samples, 1 + samples / 2), using: &generator)
            // More often few harmful flips, where p-values are small.
            let harmful = Int.random(in: 0...discordant, using: &generator) / Int.random(in: 1...2, using: &generator)
            let observed = counts(harmful, discordant - harmful, of: samples)
            for nuisanceError in [1e-6, 1e-3, 0] {
                let test = ExactTrinomialTest(allowedGap: gap, nuisanceError: nuisanceError)
                let exact = brute.supremum(
                    observed, observed.discordanceInterval(errorProbability: nuisanceError))
                let value = test.pValue(observed)
                #expect(value >= min(1, exact + nuisanceError) - 1e-12, "\(observed) \(exact)")
                #expect(value <= exact + nuisanceError + 1e-4, "\(observed) \(exact)")
            }
        }
    }

    @Test("agrees with SciPy on larger samples: binomial tails summed over lines, the supremum polished")
    func scipy() {
        // sum(binom.pmf(D, n, 2s + e) * binom.cdf(limit, D, (s + e) / (2s + e))), its maximum over the s that
        // beta.ppf(5e-7, d, n - d + 1) ... beta.ppf(1 - 5e-7, d + 1, n - d) allow: linspace of 4000, minimize_scalar.
        let cases: [(samples: Int, harmful: Int, helpful: Int, gap: Double, supremum: Double)] = [
            (2121, 8, 25, 0, 0.0014263175824919794), (2121, 8, 25, 0.01, 2.6819582891931367e-09),
            (1000, 0, 2, 0.01, 3.715530573890029e-05), (5000, 100, 150, 0, 0.0007674105155155546),
            (3000, 40, 12, 0.02, 6.050194587295302e-05),
        ]
        for row in cases {
            let value = ExactTrinomialTest(allowedGap: row.gap)
                .pValue(counts(row.harmful, row.helpful, of: row.samples))
            #expect(value >= row.supremum + 1e-6 - 1e-12)
            #expect(value <= row.supremum * 1.021 + 1e-6 + 1.1e-7, "\(row) \(value)")
        }
    }

    @Test("the probability followed from line to line is the sum of binomial tails, far out and at tiny rates too")
    func recurrences() {
        let points = [(4000, 0.0, 0.02), (4000, 0.02, 1e-6), (200_000, 0.01, 0.003), (200_000, 0, 1e-5)]
        for (samples, gap, rate) in points {
            for critical in [-25.0, -6, -1.7, 0, 4] {
                let region = TrinomialRegion(
                    score: TrinomialScore(samples: samples, gap: gap), atMost: critical, lines: 0...(samples / 20))
                let value = region.expansion(harmfulRate: rate + gap, helpfulRate: rate)
                let discordance = Binomial(trials: samples, probability: 2 * rate + gap)
                let share = (rate + gap) / (2 * rate + gap)
                var sum = 0.0
                for (line, limit) in zip(region.lines, region.limits) {
                    let weight = discordance.probability(of: line)
                    guard weight > 1e-25 else { continue }
                    sum += weight * Binomial(trials: line, probability: share).lowerTail(through: limit)
                }
                #expect(abs(value.value - sum) <= value.rounding, "\(samples) \(gap) \(rate) \(critical): \(sum)")
            }
        }
    }

    @Test("a decision is the p-value compared with the level, also near it")
    func decisions() {
        var generator = SplitMix64(seed: 3)
        for _ in 0..<300 {
            let samples = Int.random(in: 1...3000, using: &generator)
            let discordant = Int.random(in: 0...(samples / 5), using: &generator)
            let harmful = Int.random(in: 0...discordant, using: &generator)
            let counts = counts(harmful, discordant - harmful, of: samples)
            let test = ExactTrinomialTest(allowedGap: [0, 0.01, 0.04].randomElement(using: &generator)!)
            let value = test.pValue(counts)
            #expect(value > 0 && value <= 1)
            for level in [0.001, 0.05, value, value.nextDown, value + 1e-5, value - 1e-5] where level > 0 && level < 1 {
                #expect(test.isRejected(counts, at: level) == (value <= level), "\(counts) \(value) \(level)")
            }
        }
    }

    @Test("on a line of equal discordance the p-value rises with the harmful flips")
    func monotoneOnLines() {
        for samples in [6, 30, 400] {
            for gap in [0, 0.01, 0.2] {
                let test = ExactTrinomialTest(allowedGap: gap)
                for line in stride(from: 1, through: samples, by: max(1, samples / 11)) {
                    let values = (0...line).map { test.pValue(counts($0, line - $0, of: samples)) }
                    // Each is an upper bound within 5e-5 of its supremum.
                    #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 + 5e-5 })
                }
            }
        }
    }

    @Test("without samples or without any flip at gap 0 there is no evidence")
    func noEvidence() {
        #expect(ExactTrinomialTest(allowedGap: 0).pValue(counts(0, 0, of: 0)) == 1)
        #expect(ExactTrinomialTest(allowedGap: 0).pValue(counts(0, 0, of: 5000)) == 1)
        // At a gap of 1 point, 500 samples without a flip are evidence: 0.99^500 = 0.0066 have none.
        let value = ExactTrinomialTest(allowedGap: 0.01).pValue(counts(0, 0, of: 500))
        #expect(value < 1 && value > 0.0066)
    }

    @Test("the largest gap, the smallest samples and nothing but flips are no special cases")
    func extremes() {
        for gap in [0, 0.5, 0.999_999] {
            for (harmful, helpful) in [(0, 1), (1, 0), (0, 0)] {
                let value = ExactTrinomialTest(allowedGap: gap).pValue(counts(harmful, helpful, of: 1))
                #expect(value > 0 && value <= 1)
            }
            #expect(ExactTrinomialTest(allowedGap: gap).pValue(counts(400, 0, of: 400)) > 0.9)
            #expect(ExactTrinomialTest(allowedGap: gap).pValue(counts(0, 400, of: 400)) < 1.1e-6)
            #expect(ExactTrinomialTest(allowedGap: gap).pValue(counts(200, 200, of: 400)) < 1)
        }
    }

    @Test("the score rises with b, falls with c and falls with the gap, for all outcomes and gaps of either sign")
    func scoreIsMonotone() {
        for samples in [1, 2, 7, 40, 1000] {
            let step = max(1, samples / 25)
            for gap in stride(from: -0.96, through: 0.96, by: 0.06) {
                let score = TrinomialScore(samples: samples, gap: gap)
                let later = TrinomialScore(samples: samples, gap: gap + 0.01)
                for b in stride(from: 0, through: samples, by: step) {
                    for c in stride(from: 0, through: samples - b, by: step) {
                        let value = score(harmful: b, helpful: c)
                        let slack = 1e-12 * max(1, abs(value))
                        #expect(later(harmful: b, helpful: c) < value + slack)
                        guard b + c < samples else { continue }
                        #expect(score(harmful: b + 1, helpful: c) >= value - slack)
                        #expect(score(harmful: b, helpful: c + 1) <= value + slack)
                    }
                }
            }
        }
    }

    @Test("the expansion has the derivatives of the probability, and its bound holds on the whole piece")
    func expansion() {
        for (samples, gap, rate) in [(50, 0.0, 0.1), (50, 0.03, 0.001), (4000, 0.01, 0.02), (4000, 0.01, 1e-4)] {
            let score = TrinomialScore(samples: samples, gap: gap)
            for critical in [-3.0, -1.7, 0.3] {
                let region = TrinomialRegion(score: score, atMost: critical, lines: 0...samples)
                let expand = { region.expansion(harmfulRate: rate + gap + $0, helpfulRate: rate + $0) }
                let centre = expand(0)
                let sigma = 1 / centre.information.squareRoot()
                let h = min(0.01 * sigma, rate / 2)
                let slope = (expand(h).value - expand(-h).value) / (2 * h)
                let curvature = (expand(h).slope - expand(-h).slope) / (2 * h)
                // In units of sigma derivatives are below 1, and differences err by h^2.
                #expect(abs(slope - centre.slope) * sigma < 1e-4)
                #expect(abs(curvature - centre.curvature) * sigma * sigma < 1e-4)
                for radius in [0.05, 0.3, 0.9].map({ $0 * sigma }) {
                    let bound = centre.bound(radius: radius)
                    for part in stride(from: -1.0, through: 1, by: 0.125) where rate + part * radius > 0 {
                        #expect(expand(part * radius).value <= bound)
                    }
                }
            }
        }
    }

    @Test("decides about a million samples as its p-value does, and is monotone along candidates")
    func large() {
        let test = ExactTrinomialTest(allowedGap: 0.01)
        var previous = 0.0
        for candidate in stride(from: 0, to: 300, by: 30) {
            let counts = counts(22_000 + 10 * candidate, 13_000 - 10 * candidate, of: 1_000_000)
            let value = test.pValue(counts)
            #expect(test.isRejected(counts, at: 0.05) == (value <= 0.05))
            #expect(value >= previous)
            previous = value
        }
        #expect(previous > 0.99, "the last candidate's gap is 1.5 points")
    }

    @Test("the bound without a sum is never below the region's largest probability", arguments: [0.0, 0.01, 0.1])
    func bernstein(gap: Double) {
        for samples in [20, 60, 400] {
            for critical in [-6.0, -3, -1.5, 0] {
                let region = TrinomialRegion(
                    score: TrinomialScore(samples: samples, gap: gap), atMost: critical, lines: 0...samples)
                for discordance in [gap + 0.02, 0.3, 0.9] {
                    let supremum = region.supremum(gap: gap, discordance: 0...discordance)
                    #expect(region.bernsteinBound(gap: gap, discordance: discordance) >= supremum.lower)
                }
            }
        }
    }

    @Test("far from the level decisions need no sum, and are those of the p-value", arguments: [0.0, 0.01])
    func farAway(gap: Double) {
        let test = ExactTrinomialTest(allowedGap: gap)
        for (harmful, helpful) in [(50, 500), (3000, 3600), (20_000, 60_000), (0, 40), (0, 0), (3000, 3200)] {
            let counts = counts(harmful, helpful, of: 100_000)
            for level in [0.05, 0.001] {
                #expect(test.isRejected(counts, at: level) == (test.pValue(counts) <= level), "\(counts)")
            }
        }
    }
}
