import Evaluation
import ExitPolicy
import ExitRules
import RiskControl
import Safetensors
import ThresholdOptimizer

/// One policy that was fixed elsewhere, thresholds set by hand say, tested at the full failure probability.
///
/// Several gaps may be asked about at once: they are tested from large to small until one is not rejected. The hypotheses
/// "the gap is above this" are nested, so that is a fixed sequence, and the smallest gap that passed is certified with the
/// same failure probability as one alone.
public struct PolicyCertification: Sendable {
    /// One gap of the sequence.
    public struct Step: Codable, Equatable, Sendable {
        /// The gap, a fraction.
        public var allowedGap: Double
        /// The p-value of "above it".
        public var pValue: Double
        /// Whether that was rejected.
        public var passed: Bool
    }

    /// What is to be shown; the allowed gap is the smallest that passed, or the largest where none did.
    public let guarantee: Recipe.Guarantee
    /// The gaps that were tested, from large to small.
    public let steps: [Step]
    /// The exit that the policy is compared with.
    public let reference: Int
    /// How policy and reference compare.
    public let counts: PairedCounts
    /// The p-value of "worse than allowed".
    public var pValue: Double { steps.last(where: \.passed)?.pValue ?? steps[0].pValue }
    /// The policy with a certificate; without one when the test does not reject.
    public let policy: Policy

    /// Tests a policy.
    ///
    /// - Parameters:
    ///   - applied: the policy, with its exits.
    ///   - outputs: of samples that played no part in choosing the policy.
    ///   - guarantee: what is to be shown; orders and parts play no role.
    ///   - gaps: the gaps to test in turn; the guarantee's own where none are given.
    ///   - certifyUses: how many runs have used these samples, this one included.
    ///   - maximumGroupSize: the largest group of samples that can occur; 1 when all are independent.
    /// - Throws: `InputError` when the reference is no exit of the policy.
    public init(
        _ applied: AppliedPolicy, outputs: ExitOutputs, guarantee: Recipe.Guarantee, gaps: [Double] = [],
        certifyUses: Int, maximumGroupSize: Int = 1
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
        var certifier = Certifier(
            guarantee: guarantee, seed: policy.provenance.seed, costs: ExitCosts(policy), reference: reference,
            maximumGroupSize: maximumGroupSize, partNames: [])
        let view = certifier.view(outputs, rule: policy.exitRule)
        let outcome = view.whole.outcome(of: policy.thresholds)
        counts = evaluate(policy.thresholds, on: view.whole.table).counts
        var steps: [Step] = []
        for gap in gaps.isEmpty ? [guarantee.allowedGap] : gaps.sorted(by: >) {
            certifier.guarantee.allowedGap = gap
            let step = Step(
                allowedGap: gap, pValue: certifier.test.pValue(outcome),
                passed: certifier.test.isRejected(outcome, at: guarantee.level))
            steps.append(step)
            guard step.passed else { break }
        }
        let shown = steps.last(where: \.passed)
        certifier.guarantee.allowedGap = (shown ?? steps[0]).allowedGap
        self.steps = steps
        self.guarantee = certifier.guarantee
        let found = CertifiedCandidate(
            thresholds: shown == nil ? nil : policy.thresholds, allowedGap: certifier.guarantee.allowedGap,
            pValue: (shown ?? steps[0]).pValue, planned: 1, tested: [0], passed: shown == nil ? [] : [0],
            order: "given")
        var certified = policy
        certified.certificate = certifier.certificate(found, on: view.whole, outputs: outputs, uses: certifyUses)
        self.policy = certified
    }
}
