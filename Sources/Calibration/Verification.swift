import Evaluation
import ExitPolicy
import ExitRules
import RiskControl

/// Whether new labelled samples agree with what a policy claims.
public struct Verification: Equatable, Sendable {
    /// What the samples say.
    public enum Verdict: String, Codable, Sendable {
        /// "Gap above the allowed one" is rejected.
        case confirmed
        /// "Gap at most the allowed one" is rejected.
        case contradicted
        /// Neither is.
        case undecided
    }

    /// How policy and final layer compare.
    public let counts: PairedCounts
    /// The p-value of "gap above 0".
    public let pValueAbove: Double
    /// The p-value of "gap at most 0".
    public let pValueBelow: Double
    /// The level of both tests.
    public let level: Double
    /// The final layer's cost over the mean cost of the exits taken.
    public let speedUp: Double
    /// Error rate of the policy.
    public let error: Double
    /// Error rate of the final layer.
    public let finalError: Double

    /// Compares decisions with the truth.
    ///
    /// Both directions are tested with the exact binomial on discordant pairs, each at `level`.
    public init(_ applied: AppliedPolicy, outputs: ExitOutputs, level: Double) {
        let decisions = applied.decisions(outputs)
        let final = outputs.labels[outputs.exitCount - 1]
        let isCorrect = zip(decisions, outputs.truth).map { $0.label == $1 }
        let finalIsCorrect = zip(final, outputs.truth).map { $0 == $1 }
        counts = PairedCounts(isCorrect: isCorrect, referenceIsCorrect: finalIsCorrect)
        pValueAbove = exactBinomialPValue(counts)
        pValueBelow = exactBinomialPValue(
            PairedCounts(
                samples: counts.samples, harmfulFlips: counts.helpfulFlips, helpfulFlips: counts.harmfulFlips))
        self.level = level
        let samples = Double(max(outputs.sampleCount, 1))
        let costs = applied.policy.costs
        speedUp = costs[costs.count - 1] / (decisions.reduce(0) { $0 + $1.cost } / samples)
        error = Double(isCorrect.count { !$0 }) / samples
        finalError = Double(finalIsCorrect.count { !$0 }) / samples
    }

    /// What the samples say.
    public var verdict: Verdict {
        if pValueBelow <= level { return .contradicted }
        return pValueAbove <= level ? .confirmed : .undecided
    }
}
