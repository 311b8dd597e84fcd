import Evaluation
import RealModule
import Statistics

// Tests that others use for the same question. They are valid, and here so that a report can show what they would have
// certified; none is as strong as ``ExactTrinomialTest`` or ``PairedBettingTest``.

/// Hoeffding's p-value of "the mean difference is above an allowed gap", in its relative-entropy form.
///
/// `exp(-n kl(min(x, m), m))`, x and m the observed and allowed mean in units of the range. It keeps the helpful flips
/// but takes every sample to vary over the whole range, when most differences are 0.
///
/// - Parameters:
///   - meanDifference: in `range`.
///   - samples: independent; not negative.
///   - allowedGap: in `range`, below its upper end.
///   - range: in which every difference lies.
/// - Reference: Hoeffding (1963), "Probability inequalities for sums of bounded random variables", theorem 1.
public func hoeffdingPValue(
    meanDifference: Double, samples: Int, allowedGap: Double, range: ClosedRange<Double> = -1...1
) -> Double {
    let (observed, allowed) = unitMeans(meanDifference, allowedGap, range)
    guard observed < allowed else { return 1 }
    let entropy = binaryDivergence(observed, allowed)
    return min(1, .exp(-Double(samples) * entropy) * (1 + 1e-9))
}

/// The smaller of Hoeffding's and Bentkus's p-values.
///
/// Bentkus's is `e P(Bin(n, m) <= ceil(n x))`.
///
/// - Parameters: as for ``hoeffdingPValue(meanDifference:samples:allowedGap:range:)``.
/// - Complexity: O(sqrt(samples)).
/// - Reference: Bentkus (2004), "On Hoeffding's inequalities"; Bates, Angelopoulos, Lei, Malik and Jordan (2021),
///   "Distribution-free, risk-controlling prediction sets", section 3.1: valid as the smaller of the two.
public func hoeffdingBentkusPValue(
    meanDifference: Double, samples: Int, allowedGap: Double, range: ClosedRange<Double> = -1...1
) -> Double {
    let (observed, allowed) = unitMeans(meanDifference, allowedGap, range)
    let tail = Binomial(trials: samples, probability: allowed).lowerTail(
        through: Int((Double(samples) * observed).rounded(.up)))
    let hoeffding = hoeffdingPValue(
        meanDifference: meanDifference, samples: samples, allowedGap: allowedGap, range: range)
    return min(hoeffding, .exp(1) * tail * (1 + 1e-9))
}

/// The exact binomial p-value of "P(b) is above the allowed gap": helpful flips count nothing.
///
/// What a loss clipped at 0 amounts to, `max(0, loss - reference loss)`. Valid, for the gap is at most P(b); a policy
/// that repairs as much as it breaks still pays for all it breaks.
///
/// - Reference: Clopper and Pearson (1934): p is at most delta when their upper bound on P(b) is at most the gap.
public func clippedLossPValue(_ counts: PairedCounts, allowedGap: Double) -> Double {
    precondition(allowedGap >= 0 && allowedGap < 1, "an allowed gap lies in [0, 1)")
    return Binomial(trials: counts.samples, probability: allowedGap).lowerTail(through: counts.harmfulFlips)
}

/// The p-value from two one-sided Clopper-Pearson bounds, each at half the level.
///
/// The smallest delta at which the upper bound on P(b) minus the lower bound on P(c) is at most the allowed gap; 1 when
/// none is. The two bounds pay for errors in both that never happen together.
///
/// - Returns: at least 1e-12, and rounded up by at most 1e-6 of itself.
/// - Complexity: some forty pairs of bounds.
public func twoIntervalsPValue(_ counts: PairedCounts, allowedGap: Double) -> Double {
    precondition(allowedGap >= 0 && allowedGap < 1, "an allowed gap lies in [0, 1)")
    let isShown = { (delta: Double) in
        let harmful = BinomialInterval.upperBound(
            successes: counts.harmfulFlips, trials: counts.samples, errorProbability: delta / 2)
        let helpful = BinomialInterval.lowerBound(
            successes: counts.helpfulFlips, trials: counts.samples, errorProbability: delta / 2)
        return harmful - helpful <= allowedGap
    }
    // The bounds come closer as delta rises.
    var (low, high) = (Double.log(1e-12), Double.log(0.999_999))
    guard isShown(.exp(high)) else { return 1 }
    if isShown(.exp(low)) { return 1e-12 }
    while high - low > 1e-6 {
        let middle = (low + high) / 2
        if isShown(.exp(middle)) { high = middle } else { low = middle }
    }
    return .exp(high)
}

private func unitMeans(
    _ mean: Double, _ allowedGap: Double, _ range: ClosedRange<Double>
) -> (observed: Double, allowed: Double) {
    precondition(range.contains(mean), "a mean lies in the range of what it averages")
    precondition(
        allowedGap >= range.lowerBound && allowedGap < range.upperBound, "an allowed gap lies below the largest loss")
    let width = range.upperBound - range.lowerBound
    return ((mean - range.lowerBound) / width, (allowedGap - range.lowerBound) / width)
}

/// `a ln(a / b) + (1 - a) ln((1 - a) / (1 - b))`, for b in (0, 1).
private func binaryDivergence(_ a: Double, _ b: Double) -> Double {
    let first = a > 0 ? a * .log(a / b) : 0
    let second = a < 1 ? (1 - a) * .log((1 - a) / (1 - b)) : 0
    return first + second
}
