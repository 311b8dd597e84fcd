import Evaluation
import ExitPolicy
import ExitRules
import RiskControl
import ThresholdOptimizer

/// What the certify split left of a plan.
struct CertifiedCandidate: Sendable {
    /// The thresholds that passed; nil when none did.
    var thresholds: Thresholds?
    /// The gap that was shown.
    var allowedGap: Double
    /// The p-value of those thresholds against that gap.
    var pValue: Double
    /// How many candidates were put in order.
    var planned: Int
    /// Those that were tested, in order, as places in the path of candidates.
    var tested: [Int]
    /// Those of them that passed, in order.
    var passed: [Int]
    /// What the order is called.
    var order: String
    /// What was shown of parts.
    var parts: Certificate.Parts?
}

/// Views splits as a guarantee does, and tests policies on them.
struct Certifier: Sendable {
    /// What is to be shown.
    var guarantee: Recipe.Guarantee
    /// Orders the samples where a test needs an order.
    var seed: UInt64
    /// What coming to each exit costs.
    var costs: ExitCosts
    /// The exit that policies are compared with.
    var reference: Int
    /// The largest group of samples that can occur; 1 when all samples are independent.
    var maximumGroupSize: Int
    /// [classes or subgroups]: the names of the parts the guarantee speaks of.
    var partNames: [String]

    /// Which test, where it is not the one that the guarantee calls for.
    var method: GapTest.Method?
    /// Decisions made before, where many alike are asked for.
    var memory: RejectionMemory?

    /// The test that certifies.
    var test: GapTest {
        var test = guarantee.test(maximumGroupSize: maximumGroupSize, seed: seed)
        if let method { test.method = method }
        test.memory = memory
        return test
    }

    /// One split, as the guarantee sees it.
    func view(_ outputs: ExitOutputs, rule: any ExitRule) -> SplitView {
        SplitView(
            outputs, rule: rule, costs: costs, reference: reference, guarantee: guarantee,
            hasGroups: maximumGroupSize > 1, partNames: partNames)
    }

    /// The order of the policies of a path, from the tune split alone.
    ///
    /// - Parameters:
    ///   - samples: how many the evidence is from.
    ///   - certifySamples: how many there will be to test on.
    func plan(
        _ evidence: PathEvidence, allowedGap: Double, samples: Int, certifySamples: Int
    ) -> CandidatePlan {
        guarantee.order.plan(
            CandidateOrder.Evidence(
                z: evidence.z(allowedGap: allowedGap),
                pValues: guarantee.order == .tuneP ? evidence.pValues(allowedGap: allowedGap) : nil,
                costs: evidence.meanCosts, fullCost: costs.full,
                sampleRatio: Double(certifySamples) / Double(max(samples, 1)), level: guarantee.level))
    }

    /// Tests the candidates of a plan.
    func certify(_ candidates: PolicyPath, plan: CandidatePlan, on view: SplitView) -> CertifiedCandidate {
        let path = candidates.selecting(plan.candidates)
        let tests = PathTests(test, of: path, on: view)
        return certify(
            path, plan: plan, isRejected: { tests.isRejected($0, at: $1) }, pValue: { tests.pValue($0) },
            parts: { parts(at: $0, of: tests) })
    }

    /// The same on counts alone, of independent samples.
    ///
    /// - Parameter counts: [candidates of the plan]
    func certify(
        _ candidates: PolicyPath, plan: CandidatePlan, counts: [PolicyPath.Point]
    ) -> CertifiedCandidate {
        certify(
            candidates.selecting(plan.candidates), plan: plan,
            isRejected: { test.isRejected(.counts(counts[$0].counts), at: $1) },
            pValue: { test.pValue(.counts(counts[$0].counts)) }, parts: { _ in nil })
    }

    /// Walks along a plan.
    ///
    /// - Parameter path: the candidates of the plan, in its order; the functions take places in it.
    private func certify(
        _ path: PolicyPath, plan: CandidatePlan, isRejected: (Int, Double) -> Bool, pValue: (Int) -> Double,
        parts: (Int) -> Certificate.Parts?
    ) -> CertifiedCandidate {
        // From here on a candidate is its position in the plan.
        let positions = CandidatePlan(candidates: Array(0..<path.count), starts: plan.starts)
        let walk = FallbackProcedure(level: guarantee.level).walk(along: positions, isRejected: isRejected)
        return CertifiedCandidate(
            thresholds: walk.last.map { path.thresholds(of: $0) }, allowedGap: guarantee.allowedGap,
            pValue: walk.last.map(pValue) ?? 1, planned: path.count,
            tested: walk.tested.map { plan.candidates[$0] }, passed: walk.passed.map { plan.candidates[$0] },
            order: guarantee.order.rawValue, parts: walk.last.flatMap(parts))
    }

    /// What is shown of the parts at the policy that was chosen.
    private func parts(at policy: Int, of tests: PathTests) -> Certificate.Parts? {
        guard let choice = guarantee.parts else { return nil }
        let reaches: [ParallelChains.Reach]? =
            choice.demand == .all
            ? nil
            : ParallelChains(level: guarantee.level)
                .walk(chains: tests.view.parts.count, length: tests.path.count) { part, position, level in
                    tests.isRejected(position, part: part, at: level)
                }
        let thresholds = tests.path.thresholds(of: policy)
        return Certificate.Parts(
            partition: choice.partition, demand: choice.demand,
            members: tests.view.parts.enumerated().map { index, part in
                let counts = evaluate(thresholds, on: part.table).counts
                return .init(
                    name: part.name, samples: counts.samples, harmfulFlips: counts.harmfulFlips,
                    helpfulFlips: counts.helpfulFlips, isCertified: reaches.map { $0[index].count > policy } ?? true)
            })
    }

    /// The parts of which no outcome whatever could be certified, for want of samples.
    func partsTooSmall(_ view: SplitView) -> [String] {
        // A part that is told apart has the whole level too, once all others have come to the end of the order.
        guard guarantee.parts != nil else { return [] }
        return view.parts.filter { part in
            let best: PairedOutcome
            if let groups = part.groups {
                let difference = guarantee.loss == .error ? -1.0 : 0
                best = .grouped(differences: groups.map { _ in difference }, groups: groups)
            } else {
                let samples = part.table.sampleCount
                let helpful = guarantee.loss == .error ? samples : 0
                best = .counts(PairedCounts(samples: samples, harmfulFlips: 0, helpfulFlips: helpful))
            }
            return !test.isRejected(best, at: guarantee.level)
        }.map(\.name)
    }

    /// The dual problem: of the candidates that are fast enough on tune the one with the smallest gap there, and the
    /// smallest gap that certify shows of it.
    ///
    /// Gaps are tested from large to small, each at the full level, until one is not rejected: a fixed sequence, so the
    /// last that passed is a bound with the certificate's failure probability.
    func smallestGap(
        _ candidates: PolicyPath, minimumSpeedUp: Double, tune: SplitView, certify: SplitView
    ) -> CertifiedCandidate {
        let evidence = PathEvidence(candidates, on: tune)
        let costs = evidence.meanCosts
        let full = self.costs.full
        let fastEnough = costs.indices.filter { costs[$0] * minimumSpeedUp <= full }
        var found = CertifiedCandidate(
            allowedGap: 1, pValue: 1, planned: fastEnough.isEmpty ? 0 : 1, tested: [], passed: [],
            order: CandidateOrder.singlePick.rawValue)
        let gaps = CandidateOrder.smoothed(evidence.gaps, alongCosts: costs)
        guard let pick = fastEnough.min(by: { gaps[$0] < gaps[$1] }) else { return found }
        let thresholds = candidates.thresholds(of: pick)
        let outcome = certify.whole.outcome(of: thresholds)
        found.tested = [pick]
        for step in stride(from: Self.gapSteps / 2, through: 0, by: -1) {
            var test = test
            test.allowedGap = Double(step) / Double(Self.gapSteps)
            guard test.isRejected(outcome, at: guarantee.level) else { break }
            found.thresholds = thresholds
            found.passed = [pick]
            found.allowedGap = test.allowedGap
        }
        if found.thresholds != nil {
            var test = test
            test.allowedGap = found.allowedGap
            found.pValue = test.pValue(outcome)
        }
        return found
    }

    /// Gaps are told to 1 / this: 0.05 points.
    private static let gapSteps = 2000

    /// The certificate of what passed; nil when nothing did.
    func certificate(
        _ found: CertifiedCandidate, on whole: SplitView.Part, outputs: ExitOutputs, uses: Int
    ) -> Certificate? {
        guard let thresholds = found.thresholds else { return nil }
        let exits = whole.table.exitsTaken(thresholds)
        let isSame = (0..<outputs.exitCount).map { exit in outputs.isSame(exit: exit, as: reference) }
        return certificate(
            found, outcome: evaluate(thresholds, on: whole.table),
            disagreements: exits.indices.count { !isSame[exits[$0]][$0] }, uses: uses)
    }

    /// The certificate of what passed.
    ///
    /// - Parameter disagreements: how many samples of certify get another label than the reference gives.
    func certificate(
        _ found: CertifiedCandidate, outcome: Outcome, disagreements: Int, uses: Int
    ) -> Certificate {
        Certificate(
            kind: test.certificateKind, reference: reference == costs.count - 1 ? .final : .exit(reference),
            loss: guarantee.loss,
            allowedGap: found.allowedGap, failureProbability: guarantee.failureProbability, uses: guarantee.uses,
            samples: outcome.sampleCount, harmfulFlips: outcome.counts.harmfulFlips,
            helpfulFlips: outcome.counts.helpfulFlips, disagreements: disagreements, pValue: found.pValue,
            candidatesTested: found.tested.count, order: found.order, certifyUses: uses, speedUp: outcome.speedUp,
            parts: found.parts)
    }
}
