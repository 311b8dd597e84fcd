import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import RiskControl
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import Calibration

@Suite("What policies are compared with")
struct ReferenceTests {
    @Test("is the exit that the recipe names: its flips are those of a plain loop", arguments: [0, 1, 2, 3])
    func exit(reference: Int) throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try trained.calibrate {
            $0.guarantee.reference = .exit(reference)
            $0.guarantee.allowedGap = 0.05
        }
        #expect(result.reference == reference)
        let certificate = try #require(result.certificate)
        #expect(certificate.reference == (reference == 3 ? .final : .exit(reference)))
        let plain = PlainCounts(
            result.thresholds, rule: result.rule, outputs: trained.outputs[.certify], reference: reference)
        #expect(certificate.harmfulFlips == plain.harmful && certificate.helpfulFlips == plain.helpful)
        let counts = PairedCounts(
            samples: plain.samples, harmfulFlips: plain.harmful, helpfulFlips: plain.helpful)
        #expect(certificate.pValue == ExactTrinomialTest(allowedGap: 0.05).pValue(counts))
        for split in Split.allCases {
            let loop = PlainCounts(
                result.thresholds, rule: result.rule, outputs: trained.outputs[split], reference: reference)
            let counts = result.outcome(on: split).counts
            #expect(counts.harmfulFlips == loop.harmful && counts.helpfulFlips == loop.helpful)
        }
    }

    @Test("is with `best` the exit with the fewest errors on tune, the last of several")
    func best() throws {
        let trained = try TrainedExperiment.standard.get()
        let errors = trained.outputs[.tune].errorCounts
        let least = try #require(errors.min())
        let expected = try #require(errors.lastIndex(of: least))
        // The final layer of a synthetic cache is not the best one, so this tells something.
        #expect(expected != 3)
        let result = try trained.calibrate {
            $0.guarantee.reference = .best
            $0.guarantee.allowedGap = 0.03
        }
        #expect(result.reference == expected)
        let named = try trained.calibrate {
            $0.guarantee.reference = .exit(expected)
            $0.guarantee.allowedGap = 0.03
        }
        #expect(result.certificate == named.certificate && result.thresholds == named.thresholds)

        // Ties go to the later exit.
        var tied = trained.outputs[.tune]
        tied.labels[2] = tied.labels[expected == 2 ? 1 : expected]
        tied.labels[1] = tied.labels[2]
        #expect(trained.calibrator { $0.guarantee.reference = .best }.referenceExit(tune: tied) == 2)
    }

    @Test("must exist")
    func noSuchExit() throws {
        let folder = try TemporaryFolder()
        let path = try writeRecipe(in: folder, extra: "guarantee: { reference: 4 }")
        let error = try #require(throws: InputError.self) { try Experiment(Recipe(reading: path)) }
        #expect(error.item == "guarantee.reference")
        #expect(error.seen == "exit 4")
        #expect(error.expected.contains("0..<4"))
    }

    @Test("stands in the policy's file as a number, and comes back")
    func file() throws {
        let folder = try TemporaryFolder()
        let trained = try TrainedExperiment.standard.get()
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let result = try trained.calibrate {
            $0.guarantee.reference = .exit(1)
            $0.guarantee.allowedGap = 0.05
        }
        let policy = try Policy(result, of: trained.experiment, headsFile: folder.file("heads.safetensors"))
        let object = try #require(try JSONSerialization.jsonObject(with: policy.encoded()) as? [String: Any])
        let certificate = try #require(object["certificate"] as? [String: Any])
        #expect(certificate["reference"] as? Int == 1)
        #expect(try Policy(decoding: policy.encoded(), file: "policy.json") == policy)
        let text = String(decoding: policy.encoded(), as: UTF8.self)
        #expect(text.contains("\"reference\" : 1"))
        let error = try #require(throws: InputError.self) {
            try Policy(
                decoding: Data(text.replacing("\"reference\" : 1", with: "\"reference\" : 4").utf8),
                file: "policy.json")
        }
        #expect(error.item == "certificate.reference")
        #expect(error.expected.contains("0..<4"))
    }

    @Test("is what verification compares with too")
    func verification() throws {
        let folder = try TemporaryFolder()
        let trained = try TrainedExperiment.standard.get()
        try SyntheticCache().write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let result = try trained.calibrate {
            $0.guarantee.reference = .exit(1)
            $0.guarantee.allowedGap = 0.05
        }
        try Policy(result, of: trained.experiment, headsFile: folder.file("heads.safetensors"))
            .write(to: folder.file("policy.json"))
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        let verification = Verification(
            applied, outputs: try applied.outputs(rows: applied.rows(of: .test)), level: 0.05)
        let plain = PlainCounts(
            result.thresholds, rule: result.rule, outputs: trained.outputs[.test], reference: 1)
        #expect(verification.reference == .exit(1))
        #expect(verification.counts.harmfulFlips == plain.harmful && verification.counts.helpfulFlips == plain.helpful)
    }
}

@Suite("Disagreement as the loss")
struct DisagreementTests {
    private func result(_ trained: TrainedExperiment, _ outputs: SplitOutputs) throws -> CalibrationResult {
        try trained.calibrator {
            $0.guarantee.loss = .disagreement
            $0.guarantee.allowedGap = 0.15
        }.calibrate(outputs)
    }

    @Test("counts labels that are not the final layer's, and tests them by the exact binomial")
    func counts() throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try result(trained, trained.outputs)
        let certificate = try #require(result.certificate)
        #expect(certificate.kind == .disagreement)
        let plain = PlainCounts(
            result.thresholds, rule: result.rule, outputs: trained.outputs[.certify], reference: 3)
        #expect(plain.disagreements > 0)
        #expect(certificate.harmfulFlips == plain.disagreements && certificate.helpfulFlips == 0)
        #expect(certificate.disagreements == plain.disagreements)
        let tail = Binomial(trials: plain.samples, probability: 0.15).lowerTail(through: plain.disagreements)
        #expect(certificate.pValue == tail)
    }

    @Test("needs no labels of certify: with others the certificate is the same")
    func withoutLabels() throws {
        let trained = try TrainedExperiment.standard.get()
        var bySplit = trained.outputs.bySplit
        bySplit[.certify]!.truth = bySplit[.certify]!.truth.map { ($0 + 1) % 3 }
        let expected = try result(trained, trained.outputs)
        let found = try result(trained, SplitOutputs(bySplit))
        #expect(found.certificate == expected.certificate && found.thresholds == expected.thresholds)
        // With errors as the loss it would not be.
        let errors = trained.calibrator { $0.guarantee.allowedGap = 0.15 }
        #expect(
            try errors.calibrate(SplitOutputs(bySplit)).certificate != errors.calibrate(trained.outputs).certificate)
    }

    @Test("is verified as what it is")
    func verification() throws {
        let folder = try TemporaryFolder()
        let trained = try TrainedExperiment.standard.get()
        try SyntheticCache().write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let result = try result(trained, trained.outputs)
        try Policy(result, of: trained.experiment, headsFile: folder.file("heads.safetensors"))
            .write(to: folder.file("policy.json"))
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        var outputs = try applied.outputs(rows: applied.rows(of: .test))
        let verification = Verification(applied, outputs: outputs, level: 0.05)
        #expect(verification.countsDisagreement)
        let plain = PlainCounts(result.thresholds, rule: result.rule, outputs: outputs, reference: 3)
        #expect(verification.counts.harmfulFlips == plain.disagreements && verification.counts.helpfulFlips == 0)
        outputs.truth = outputs.truth.map { ($0 + 1) % 3 }
        #expect(Verification(applied, outputs: outputs, level: 0.05).verdict == verification.verdict)
        // A final layer that says something else throughout contradicts the policy.
        outputs.labels[3] = outputs.labels[3].map { ($0 + 1) % 3 }
        #expect(Verification(applied, outputs: outputs, level: 0.05).verdict == .contradicted)
    }
}
