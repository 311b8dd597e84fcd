import Evaluation
import Statistics

/// A two-sided exact interval of the risk gap `P(b) - P(c)` from paired counts.
///
/// The gap lies inside with at least the confidence asked for, whatever the flip rates and the number of samples; each
/// end errs with at most half of what is left. For reports on samples that chose nothing, the test split.
///
/// The upper end orders the outcomes once, by the score's own approximate upper limit (the gap at which
/// `TrinomialScore` reaches the normal quantile), and returns the largest gap at which an outcome ordered no higher
/// than the observed one still has the probability allowed. One order for all gaps makes that probability fall with the
/// gap, so bisection finds the end; inverting a p-value that orders anew at every gap would not. It is one order, for
/// the score falls as the gap rises, so that larger limits let in more outcomes. The supremum over the discordance is
/// that of ``ExactTrinomialTest``, with `nuisanceError` spent in the same way. The lower end is the upper one with
/// harmful and helpful flips exchanged. Rounded outward.
///
/// Assumes independent samples.
///
/// - Reference: Buehler (1957), "Confidence intervals for the product of two binomial parameters": the smallest upper
///   limits for a given order; Lloyd and Moldovan (2007) for the same pair of rates.
public struct RiskGapInterval: Equatable, Sendable {
    /// The lower end, in -1...1.
    public let lower: Double
    /// The upper end, in -1...1.
    public let upper: Double

    /// The two-sided interval; [-1, 1] without samples.
    ///
    /// - Parameters:
    ///   - counts: of all samples.
    ///   - confidence: in (0, 1).
    ///   - nuisanceError: what the interval of the discordance may err at each end, part of the error allowed.
    /// - Complexity: some twenty decisions of ``ExactTrinomialTest`` for each end.
    public init(_ counts: PairedCounts, confidence: Double = 0.95, nuisanceError: Double = 1e-6) {
        precondition(confidence > 0 && confidence < 1, "a confidence lies between 0 and 1")
        let error = (1 - confidence) / 2
        lower = Self.lowerBound(counts, errorProbability: error, nuisanceError: nuisanceError)
        upper = Self.upperBound(counts, errorProbability: error, nuisanceError: nuisanceError)
    }

    /// The one-sided lower bound: above the true gap with at most `errorProbability`.
    public static func lowerBound(
        _ counts: PairedCounts, errorProbability: Double, nuisanceError: Double = 1e-6
    ) -> Double {
        let mirrored = PairedCounts(
            samples: counts.samples, harmfulFlips: counts.helpfulFlips, helpfulFlips: counts.harmfulFlips)
        return -upperBound(mirrored, errorProbability: errorProbability, nuisanceError: nuisanceError)
    }

    /// The one-sided upper bound: below the true gap with at most `errorProbability`.
    public static func upperBound(
        _ counts: PairedCounts, errorProbability: Double, nuisanceError: Double = 1e-6
    ) -> Double {
        precondition(errorProbability > 0 && errorProbability < 1, "a probability of error lies between 0 and 1")
        precondition((0..<errorProbability).contains(nuisanceError), "the nuisance has a part of the error, not all")
        // When all flips are harmful, no gap is too large.
        guard counts.samples > 0, counts.harmfulFlips < counts.samples else { return 1 }
        let quantile = Normal.quantile(errorProbability)
        let anchor = approximateBound(counts, quantile: quantile)
        let discordance = counts.discordanceInterval(errorProbability: nuisanceError)
        let region = TrinomialRegion(
            score: TrinomialScore(samples: counts.samples, gap: anchor), atMost: quantile.tieWidened,
            lines: TrinomialRegion.lines(samples: counts.samples, discordance: discordance))
        let isTooLarge = { (gap: Double) in
            region.supremum(gap: gap, discordance: discordance) {
                $0.upper + nuisanceError <= errorProbability || $0.lower + nuisanceError > errorProbability
            }.upper + nuisanceError <= errorProbability
        }
        // No gap is larger than the discordance. The observed gap bounds from below, if it is admitted or not.
        var low = counts.riskGap
        var high = discordance.upperBound
        let resolution = 1e-5 * max(high - low, 1 / Double(counts.samples))
        while high - low > resolution {
            let middle = low + (high - low) / 2
            if isTooLarge(middle) { high = middle } else { low = middle }
        }
        return high
    }

    /// The gap at which the score reaches a (negative) quantile, not rounded below it.
    private static func approximateBound(_ counts: PairedCounts, quantile: Double) -> Double {
        var (low, high) = (-1.0, 1.0)
        for _ in 0..<60 {
            let middle = low + (high - low) / 2
            let score = TrinomialScore(samples: counts.samples, gap: middle)
            if score(harmful: counts.harmfulFlips, helpful: counts.helpfulFlips) <= quantile {
                high = middle
            } else {
                low = middle
            }
        }
        return high
    }
}
