import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import Calibration

@Suite("A policy that was fixed elsewhere")
struct PolicyCertificationTests {
    /// The standard experiment's cache and heads with a policy whose thresholds were set by hand.
    private func applied(_ thresholds: [Double?], in folder: TemporaryFolder) throws -> AppliedPolicy {
        let trained = try TrainedExperiment.standard.get()
        try SyntheticCache().write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        var policy = try Policy(
            trained.calibrate(), of: trained.experiment, headsFile: folder.file("heads.safetensors"))
        for (exit, threshold) in thresholds.enumerated() { policy.exits[exit].threshold = threshold }
        policy.certificate = nil
        try policy.write(to: folder.file("policy.json"))
        return try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
    }

    private func plain(_ applied: AppliedPolicy, _ outputs: ExitOutputs, reference: Int) -> PlainCounts {
        PlainCounts(applied.policy.thresholds, rule: applied.policy.exitRule, outputs: outputs, reference: reference)
    }

    @Test(
        "is certified by one test at the full level, whose numbers are those of a plain loop", arguments: [nil, 1, 3])
    func certified(reference: Int?) throws {
        let folder = try TemporaryFolder()
        let applied = try applied([0.9, 1.2, nil], in: folder)
        let outputs = try applied.outputs(rows: applied.rows(of: .certify))
        let guarantee = Recipe.Guarantee(allowedGap: 0.1, reference: reference.map { .exit($0) } ?? .final)
        let certification = try PolicyCertification(applied, outputs: outputs, guarantee: guarantee, certifyUses: 2)
        let plain = plain(applied, outputs, reference: reference ?? 3)
        let counts = PairedCounts(samples: plain.samples, harmfulFlips: plain.harmful, helpfulFlips: plain.helpful)
        #expect(certification.counts == counts)
        #expect(certification.pValue == ExactTrinomialTest(allowedGap: 0.1).pValue(counts))
        let certificate = try #require(certification.policy.certificate)
        #expect(certificate.reference == (reference == 1 ? .exit(1) : .final))
        #expect(certificate.order == "given" && certificate.candidatesTested == 1 && certificate.certifyUses == 2)
        #expect(certificate.pValue == certification.pValue && certificate.samples == plain.samples)
        // Nothing else of the policy changes.
        var expected = applied.policy
        expected.certificate = certificate
        #expect(certification.policy == expected)
    }

    @Test("gets no certificate where the test does not reject, and loses the one it had")
    func notCertified() throws {
        let folder = try TemporaryFolder()
        // Everyone leaves at the first exit, which errs far more often than the last.
        let applied = try applied([-1, nil, nil], in: folder)
        let outputs = try applied.outputs(rows: applied.rows(of: .certify))
        let certification = try PolicyCertification(
            applied, outputs: outputs, guarantee: Recipe.Guarantee(), certifyUses: 1)
        #expect(certification.policy.certificate == nil)
        #expect(certification.pValue > 0.05)
        #expect(certification.counts.harmfulFlips > certification.counts.helpfulFlips)
    }

    @Test("is tested at delta over uses")
    func uses() throws {
        let folder = try TemporaryFolder()
        let applied = try applied([0.9, 1.2, nil], in: folder)
        let outputs = try applied.outputs(rows: applied.rows(of: .certify))
        func certification(_ delta: Double, uses: Int) throws -> PolicyCertification {
            try PolicyCertification(
                applied, outputs: outputs,
                guarantee: Recipe.Guarantee(allowedGap: 0.05, failureProbability: delta, uses: uses), certifyUses: 1)
        }
        let pValue = try certification(0.5, uses: 1).pValue
        #expect(pValue > 0 && pValue < 0.2)
        // A level just above the p-value rejects, one just below does not.
        #expect(try certification(4 * pValue * 1.001, uses: 4).policy.certificate?.uses == 4)
        #expect(try certification(4 * pValue * 0.999, uses: 4).policy.certificate == nil)
    }

    @Test("is tested for disagreement where that is the loss")
    func disagreement() throws {
        let folder = try TemporaryFolder()
        let applied = try applied([0.9, 1.2, nil], in: folder)
        let outputs = try applied.outputs(rows: applied.rows(of: .certify))
        let certification = try PolicyCertification(
            applied, outputs: outputs, guarantee: Recipe.Guarantee(allowedGap: 0.4, loss: .disagreement), certifyUses: 1
        )
        let plain = plain(applied, outputs, reference: 3)
        #expect(certification.policy.certificate?.kind == .disagreement)
        #expect(certification.counts.harmfulFlips == plain.disagreements)
        #expect(
            certification.pValue
                == Binomial(trials: plain.samples, probability: 0.4).lowerTail(through: plain.disagreements))
    }

    @Test("is compared with an exit that it has")
    func noSuchExit() throws {
        let folder = try TemporaryFolder()
        let applied = try applied([0.9, 1.2, nil], in: folder)
        let outputs = try applied.outputs(rows: applied.rows(of: .certify))
        let error = try #require(throws: InputError.self) {
            try PolicyCertification(
                applied, outputs: outputs, guarantee: Recipe.Guarantee(reference: .exit(4)), certifyUses: 1)
        }
        #expect(error.kind == .outOfRange && error.file == folder.file("policy.json"))
        #expect(error.seen.contains("exit 4"))
    }
}
