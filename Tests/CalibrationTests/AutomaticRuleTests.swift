import ExitPolicy
import ExitRules
import FeatureCache
import TestSupport
import Testing

@testable import Calibration

@Suite("A rule picked on tune")
struct AutomaticRuleTests {
    static let automatic = Result {
        try TrainedExperiment(extra: "rule: { kind: auto }")
    }

    @Test("is the one with the highest prediction, which is that of a calibrator with this rule")
    func best() throws {
        let trained = try Self.automatic.get()
        var experiment = trained.experiment
        #expect(experiment.recipe.picksRule)
        let automatic = try #require(try experiment.pickRule(for: trained.heads))
        let speedUps = automatic.candidates.map(\.prediction.speedUp)
        #expect(zip(speedUps, speedUps.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(automatic.candidates.count == AutomaticRule.rules(classCount: 3).count)
        #expect(experiment.recipe.rule == automatic.rule && automatic.rule == automatic.candidates[0].rule)
        let outputs = try experiment.outputs(of: trained.heads)
        let prediction = try Calibrator(experiment)
            .prediction(tune: outputs[.tune], certifySamples: outputs[.certify].sampleCount)
        #expect(prediction == automatic.candidates[0].prediction)
    }

    @Test("does not depend on what certify says, and is written into the policy by its own name")
    func certifyUntouched() throws {
        let trained = try Self.automatic.get()
        var experiment = trained.experiment
        let automatic = try #require(try experiment.pickRule(for: trained.heads))
        let tune = try Set(AutomaticRule.rules(classCount: 3).map(\.confidence)).reduce(
            into: [ConfidenceMeasure: ExitOutputs]()
        ) {
            $0[$1] = try trained.heads.outputs(
                on: experiment.cache, rows: experiment.splits.tune, measure: $1)
        }
        // The tune split and the size of certify are all there is to go by.
        let again = try AutomaticRule(
            Calibrator(trained.experiment), tune: tune, certifySamples: experiment.splits.certify.count, classCount: 3)
        #expect(again.candidates == automatic.candidates)

        let folder = try TemporaryFolder()
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: trained.heads))
        let policy = try Policy(result, of: experiment, headsFile: folder.file("heads.safetensors"))
        #expect(policy.rule.kind == .beem && policy.rule.weights == automatic.rule.weights.name)
        #expect(policy.rule.memory == automatic.rule.memory && policy.rule.confidence == automatic.rule.confidence)
    }

    @Test("a recipe that names its rule keeps it")
    func named() throws {
        let trained = try TrainedExperiment.standard.get()
        var experiment = trained.experiment
        #expect(try experiment.pickRule(for: trained.heads) == nil)
        #expect(experiment.recipe == trained.experiment.recipe)
    }

    @Test("cross-fitting holds every sample out once, and never together with what it was fitted on; groups stay whole")
    func crossFit() throws {
        let outputs = try TrainedExperiment.standard.get().outputs[.tune]
        var grouped = outputs
        grouped.groups = (0..<outputs.sampleCount).map { Int32($0 / 3) }
        // The place of a sample as its label, to see where it went.
        for exit in grouped.labels.indices { grouped.labels[exit] = (0..<outputs.sampleCount).map(Int32.init) }
        var held: [Int32] = []
        for part in CrossFit.divide(grouped, seed: 5) {
            #expect(Set(part.held.groups!).isDisjoint(with: part.rest.groups!))
            #expect(part.held.sampleCount + part.rest.sampleCount == outputs.sampleCount)
            held += part.held.labels[0]
        }
        #expect(held.sorted() == grouped.labels[0])
    }

    @Test("a comparison has every rule once for each kind of threshold, sorted by what is predicted")
    func comparison() throws {
        let trained = try TrainedExperiment.standard.get()
        let comparison = try RuleComparison(trained.experiment, heads: trained.heads)
        let expected = RuleComparison.subjects(classCount: 3)
        #expect(comparison.rows.count == expected.count)
        #expect(expected.allSatisfy { subject in comparison.subjects.count { $0 == subject } == 1 })
        let speedUps = comparison.rows.map(\.certifiedSpeedUp)
        #expect(zip(speedUps, speedUps.dropFirst()).allSatisfy { $0 >= $1 })
        for row in comparison.rows {
            #expect(abs(row.tunedShares.reduce(0, +) - 1) < 1e-12 && row.tunedSpeedUp >= 1)
            #expect((0...1).contains(row.certified) && row.certifiedSpeedUp >= 1)
        }
    }

    @Test("thresholds of one exit cannot beat the bound that is told for thresholds per exit")
    func optimality() throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try trained.calibrate { $0.search = .perExitCoordinate(starts: 2) }
        let optimality = try #require(result.optimality)
        #expect(optimality.found == result.outcome(of: result.tunedThresholds, on: .tune).speedUp)
        #expect(optimality.bound >= optimality.found)
        #expect(try trained.calibrate().optimality == nil)
    }
}
