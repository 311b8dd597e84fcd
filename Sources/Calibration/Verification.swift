import Evaluation
import ExitPolicy
import ExitRules
import RiskControl
import Statistics

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
    /// The exit the policy is compared with; the final layer usually.
    public let reference: Certificate.Reference
    /// Whether labels that are not the reference's count, right or wrong, instead of errors.
    public let countsDisagreement: Bool
    /// How policy and reference compare.
    public let counts: PairedCounts
    /// The p-value of "gap above the allowed one".
    public let pValue: Double
    /// The two-sided 95 % interval of the gap; nil for samples in groups.
    public let gapInterval: RiskGapInterval?
    /// The level of the verdict, for each direction.
    public let level: Double
    /// The cost without early exit over the mean cost of the exits taken.
    public let speedUp: Double
    /// Error rate of the policy.
    public let error: Double
    /// Error rate of the final layer.
    public let finalError: Double

    /// Compares decisions with the truth.
    ///
    /// The policy is confirmed by the test that certifies, and contradicted when the test of the opposite, "the gap is
    /// at most the allowed one", is rejected; each errs with probability at most `level`.
    ///
    /// - Parameters:
    ///   - applied: the policy, with its exits.
    ///   - outputs: what the exits say of the new samples.
    ///   - level: of each of the two tests, in (0, 1).
    ///   - maximumGroupSize: the largest group of samples that can occur; 1 when all are independent.
    public init(_ applied: AppliedPolicy, outputs: ExitOutputs, level: Double, maximumGroupSize: Int = 1) {
        let certificate = applied.policy.certificate
        allowedGap = certificate?.allowedGap ?? 0
        reference = certificate?.reference ?? .final
        countsDisagreement = certificate?.loss == .disagreement
        self.level = level
        let decisions = applied.decisions(outputs)
        let referenceExit = reference.index(exitCount: outputs.exitCount)
        let isRight = (0..<outputs.exitCount).map { exit in outputs.isCorrect(exit: exit) }
        let isCounted =
            countsDisagreement
            ? (0..<outputs.exitCount).map { exit in outputs.isSame(exit: exit, as: referenceExit) } : isRight
        let isCorrect = decisions.enumerated().map { sample, decision in isCounted[decision.exit][sample] }
        let referenceIsCorrect = isCounted[referenceExit]
        counts = PairedCounts(isCorrect: isCorrect, referenceIsCorrect: referenceIsCorrect)

        let guarantee = Recipe.Guarantee(
            allowedGap: allowedGap, failureProbability: level, loss: countsDisagreement ? .disagreement : .error)
        let test = guarantee.test(maximumGroupSize: maximumGroupSize, seed: applied.policy.provenance.seed)
        let isContradicted: Bool
        if maximumGroupSize > 1, let groups = outputs.groups {
            let differences = zip(isCorrect, referenceIsCorrect).map { $0 == $1 ? 0.0 : $0 ? -1 : 1 }
            pValue = test.pValue(.grouped(differences: differences, groups: groups.map(Int.init)))
            // The same bets with every sign turned.
            var opposite = test
            opposite.allowedGap = -allowedGap
            isContradicted = opposite.isRejected(
                .grouped(differences: differences.map { -$0 }, groups: groups.map(Int.init)), at: level)
            gapInterval = nil
        } else {
            pValue = test.pValue(.counts(counts))
            gapInterval = RiskGapInterval(counts)
            let lower =
                countsDisagreement
                ? BinomialInterval.lowerBound(
                    successes: counts.harmfulFlips, trials: counts.samples, errorProbability: level)
                : RiskGapInterval.lowerBound(counts, errorProbability: level)
            isContradicted = lower > allowedGap
        }
        verdict = isContradicted ? .contradicted : pValue <= level ? .confirmed : .undecided

        let samples = Double(max(outputs.sampleCount, 1))
        speedUp = applied.policy.fullCost / (decisions.reduce(0) { $0 + $1.cost } / samples)
        error = Double(decisions.enumerated().count { !isRight[$1.exit][$0] }) / samples
        finalError = Double(outputs.errorCounts[outputs.exitCount - 1]) / samples
    }
}
