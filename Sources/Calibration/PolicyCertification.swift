import Evaluation
import ExitPolicy
import ExitRules
import RiskControl
import Safetensors
import ThresholdOptimizer

/// One test, at the full failure probability, of a policy that was fixed elsewhere: thresholds set by hand, say.
public struct PolicyCertification: Sendable {
    /// What is to be shown.
    public let guarantee: Recipe.Guarantee
    /// The exit that the policy is compared with.
    public let reference: Int
    /// How policy and reference compare.
    public let counts: PairedCounts
    /// The p-value of "worse than allowed".
    public let pValue: Double
    /// The policy with a certificate; without one when the test does not reject.
    public let policy: Policy

    /// Tests a policy.
    ///
    /// - Parameters:
    ///   - applied: the policy, with its exits.
    ///   - outputs: of samples that played no part in choosing the policy.
    ///   - guarantee: what is to be shown; orders and parts play no role.
    ///   - certifyUses: how many runs have used these samples, this one included.
    ///   - maximumGroupSize: the largest group of samples that can occur; 1 when all are independent.
    /// - Throws: `InputError` when the reference is no exit of the policy.
    public init(
        _ applied: AppliedPolicy, outputs: ExitOutputs, guarantee: Recipe.Guarantee, certifyUses: Int,
        maximumGroupSize: Int = 1
    ) throws(InputError) {
        let policy = applied.policy
        let exits = policy.exits.count
        switch guarantee.reference {
        case .final: reference = exits - 1
        case .exit(let index) where index < exits: reference = index
        case .exit(let index):
            throw InputError(
                .outOfRange, file: applied.policyFile, item: "exits", seen: "exit \(index) as the reference",
                expected: "an exit in 0..<\(exits)")
        case .best:
            preconditionFailure("the best exit on tune is known only where there is a tune split")
        }
        self.guarantee = guarantee
        let certifier = Certifier(
            guarantee: guarantee, seed: policy.provenance.seed, costs: ExitCosts(policy), reference: reference,
            maximumGroupSize: maximumGroupSize, partNames: [])
        let view = certifier.view(outputs, rule: policy.exitRule)
        let outcome = view.whole.outcome(of: policy.thresholds)
        counts = evaluate(policy.thresholds, on: view.whole.table).counts
        pValue = certifier.test.pValue(outcome)
        let isCertified = certifier.test.isRejected(outcome, at: guarantee.level)
        let found = CertifiedCandidate(
            thresholds: isCertified ? policy.thresholds : nil, allowedGap: guarantee.allowedGap, pValue: pValue,
            planned: 1, tested: [0], passed: isCertified ? [0] : [], order: "given")
        var certified = policy
        certified.certificate = certifier.certificate(found, on: view.whole, outputs: outputs, uses: certifyUses)
        self.policy = certified
    }
}
