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

    /// What the samples say.
    public let verdict: Verdict
    /// The gap that the policy's certificate allows; 0 for a policy without one.
    public let allowedGap: Double
    /// How policy and final layer compare.
    public let counts: PairedCounts
    /// The p-value of "gap above the allowed one".
    public let pValue: Double
    /// The two-sided 95 % interval of the gap.
    public let gapInterval: RiskGapInterval
    /// The level of the verdict, for each direction.
    public let level: Double
    /// The final layer's cost over the mean cost of the exits taken.
    public let speedUp: Double
    /// Error rate of the policy.
    public let error: Double
    /// Error rate of the final layer.
    public let finalError: Double

    /// Compares decisions with the truth, for independent samples.
    ///
    /// The policy is confirmed by the test that certifies, and contradicted when the exact one-sided lower bound of the
    /// gap lies above the allowed one; each errs with probability at most `level`.
    public init(_ applied: AppliedPolicy, outputs: ExitOutputs, level: Double) {
        let decisions = applied.decisions(outputs)
        let final = outputs.labels[outputs.exitCount - 1]
        let isCorrect = zip(decisions, outputs.truth).map { $0.label == $1 }
        let finalIsCorrect = zip(final, outputs.truth).map { $0 == $1 }
        counts = PairedCounts(isCorrect: isCorrect, referenceIsCorrect: finalIsCorrect)
        allowedGap = applied.policy.certificate?.allowedGap ?? 0
        pValue = Recipe.Guarantee(allowedGap: allowedGap).pValue(counts)
        gapInterval = RiskGapInterval(counts)
        self.level = level
        let samples = Double(max(outputs.sampleCount, 1))
        let costs = applied.policy.costs
        speedUp = costs[costs.count - 1] / (decisions.reduce(0) { $0 + $1.cost } / samples)
        error = Double(isCorrect.count { !$0 }) / samples
        finalError = Double(finalIsCorrect.count { !$0 }) / samples
        if RiskGapInterval.lowerBound(counts, errorProbability: level) > allowedGap {
            verdict = .contradicted
        } else {
            verdict = pValue <= level ? .confirmed : .undecided
        }
    }
}
