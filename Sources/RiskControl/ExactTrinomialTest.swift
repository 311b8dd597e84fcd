import Evaluation
import Statistics

/// The exact unconditional test of "the risk gap is above an allowed gap" on harmful, helpful and other samples.
///
/// Under the null (b, c) is trinomial with `P(b) - P(c) > allowedGap`. The p-value is the largest probability, over the
/// null, of a score (`TrinomialScore`) as small as the one observed. The score's regions keep outcomes with fewer
/// harmful and more helpful flips, so the largest probability lies on `P(b) - P(c) = allowedGap`; there one rate is
/// unknown, the discordance. It is searched in its exact (Clopper-Pearson) interval of error probability
/// `nuisanceError`, which is added to the result. For a fixed discordance too the boundary is the worst of the null, so
/// the result is a p-value over the whole null: at most delta with probability at most delta, for every n.
///
/// The supremum is bounded, not sampled: between the points where it is evaluated a bound on the third and higher
/// orders holds, and the p-value is the upper bound, above the exact supremum plus `nuisanceError` by at most 1e-4.
///
/// Assumes independent samples. Includes an allowed gap of 0, where it has more power than McNemar's exact test.
///
/// - Reference: Berger and Boos (1994), "P values maximized over a confidence set for the nuisance parameter"; the
///   score in this test: Sidik (2003), "Exact unconditional tests for testing non-inferiority in matched-pairs design".
public struct ExactTrinomialTest: Equatable, Sendable {
    /// The largest gap that is accepted, epsilon, in [0, 1).
    public let allowedGap: Double
    /// What the interval of the discordance may err; added to every p-value, so none is smaller. 0 searches all rates.
    public let nuisanceError: Double

    /// Creates a test.
    ///
    /// - Parameters:
    ///   - allowedGap: in [0, 1).
    ///   - nuisanceError: in [0, 1), far below any level that will be used.
    public init(allowedGap: Double, nuisanceError: Double = 1e-6) {
        precondition(allowedGap >= 0 && allowedGap < 1, "an allowed gap lies in [0, 1)")
        precondition(nuisanceError >= 0 && nuisanceError < 1, "a probability of error lies in [0, 1)")
        self.allowedGap = allowedGap
        self.nuisanceError = nuisanceError
    }

    /// The p-value, rounded up; 1 without samples.
    ///
    /// - Complexity: tens of sums over O(sqrt(b + c)) lines; a few milliseconds for a million samples.
    public func pValue(_ counts: PairedCounts) -> Double {
        bounds(counts) { _ in false }.upper
    }

    /// Whether the p-value is at most a level: what a walk along candidates asks.
    ///
    /// The same answer as comparing ``pValue(_:)``, for usually a fraction of the time: the search stops when it knows.
    public func isRejected(_ counts: PairedCounts, at level: Double) -> Bool {
        if level < nuisanceError { return false }
        // A bound without a sum comes first; half the level leaves no doubt that the p-value itself is below it.
        return bounds(counts, isSettled: { $0 <= level / 2 }) { $0.upper <= level || $0.lower > level }.upper <= level
    }

    /// Bounds on the p-value; closer until `decide`.
    ///
    /// - Parameter isSettled: whether an upper bound that costs next to nothing is low enough to end it at once.
    private func bounds(
        _ counts: PairedCounts, isSettled: (_ upper: Double) -> Bool = { _ in false },
        decide: (TrinomialRegion.Bounds) -> Bool
    ) -> TrinomialRegion.Bounds {
        guard counts.samples > 0 else { return TrinomialRegion.Bounds(lower: 1, upper: 1) }
        let discordance = counts.discordanceInterval(errorProbability: nuisanceError)
        let score = TrinomialScore(samples: counts.samples, gap: allowedGap)
        let observed = score(harmful: counts.harmfulFlips, helpful: counts.helpfulFlips)
        let region = TrinomialRegion(
            score: score, atMost: observed.tieWidened,
            lines: TrinomialRegion.lines(samples: counts.samples, discordance: discordance))
        let tail = region.bernsteinBound(gap: allowedGap, discordance: discordance.upperBound) + nuisanceError
        if isSettled(tail) { return TrinomialRegion.Bounds(lower: 0, upper: tail) }
        let plus = { (bounds: TrinomialRegion.Bounds) in
            TrinomialRegion.Bounds(
                lower: min(1, bounds.lower + nuisanceError), upper: min(1, bounds.upper + nuisanceError))
        }
        return plus(region.supremum(gap: allowedGap, discordance: discordance) { decide(plus($0)) })
    }
}

extension PairedCounts {
    /// The exact interval of the rate of discordance, P(b) + P(c); all rates when nothing may err.
    func discordanceInterval(errorProbability: Double) -> ClosedRange<Double> {
        guard errorProbability > 0 else { return 0...1 }
        let interval = BinomialInterval(
            successes: discordant, trials: samples, confidence: 1 - errorProbability)
        return interval.lower...interval.upper
    }
}

extension Double {
    /// A critical value that lets in outcomes whose score is equal but for rounding.
    var tieWidened: Double { self + 1e-10 * Swift.max(1, abs(self)) }
}
