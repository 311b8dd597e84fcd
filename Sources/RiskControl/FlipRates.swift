import Evaluation

/// How often a policy's label flips against its reference, as probabilities of one sample.
public struct FlipRates: Equatable, Sendable {
    /// P(b): the policy is wrong and the reference right.
    public let harmful: Double
    /// P(c): the policy is right and the reference wrong.
    public let helpful: Double

    /// Creates rates.
    ///
    /// - Parameters:
    ///   - harmful: in 0...1.
    ///   - helpful: in 0...1; with `harmful` at most 1.
    public init(harmful: Double, helpful: Double) {
        precondition((0...1).contains(harmful) && (0...1).contains(helpful), "a rate lies in 0...1")
        precondition(harmful + helpful <= 1 + .ulpOfOne, "a sample flips at most one way")
        self.harmful = harmful
        self.helpful = helpful
    }

    /// The rates that were observed. Few flips say little about them: a plan from 5 flips is a guess.
    ///
    /// - Parameter counts: of at least one sample.
    public init(_ counts: PairedCounts) {
        precondition(counts.samples > 0, "rates are observed on samples")
        self.init(
            harmful: Double(counts.harmfulFlips) / Double(counts.samples),
            helpful: Double(counts.helpfulFlips) / Double(counts.samples))
    }

    /// The risk gap, `P(b) - P(c)`.
    public var gap: Double { harmful - helpful }

    /// The probability of a flip of either kind, `P(b) + P(c)`.
    public var discordance: Double { min(1, harmful + helpful) }

    /// The probability that a flip is harmful; 0 where there are no flips.
    var harmfulShare: Double { discordance == 0 ? 0 : min(1, harmful / discordance) }
}
