import Evaluation
import Statistics

/// The p-value of "the policy errs more often than its reference" from paired counts: McNemar's exact test, one-sided.
///
/// Under the null a discordant sample is harmful with probability at least 1/2, whatever the rate of discordance, so
/// given `b + c` the number b of harmful flips is at least as large as a Bin(b + c, 1/2), and
/// `p = P(Bin(b + c, 1/2) <= b)` is at most delta with probability at most delta. A small p-value says that the gap is
/// not above 0, and nothing about how far below. Without discordant samples p is 1: no evidence.
///
/// Assumes independent samples. Good to 1e-12 relative until it underflows.
///
/// - Complexity: O(sqrt(b + c)).
/// - Reference: McNemar (1947), "Note on the sampling error of the difference between correlated proportions or
///   percentages"; the exact form is the sign test on the discordant pairs.
public func exactBinomialPValue(_ counts: PairedCounts) -> Double {
    Binomial(trials: counts.discordant, probability: 0.5).lowerTail(through: counts.harmfulFlips)
}

/// `(c - b) / sqrt(b + c)`: how many standard errors the helpful flips lead by; 0 without discordant samples.
///
/// The normal approximation of McNemar's test. Not for certificates: it orders candidates, also where exact p-values
/// underflow to 0 or are all 1.
public func pairedZ(_ counts: PairedCounts) -> Double {
    guard counts.discordant > 0 else { return 0 }
    return Double(counts.helpfulFlips - counts.harmfulFlips) / Double(counts.discordant).squareRoot()
}

extension PairedCounts {
    /// Samples on which exactly one of policy and reference is right: b + c.
    var discordant: Int { harmfulFlips + helpfulFlips }
}
