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
        let automatic = try #require(try experiment.pickRule(for: experiment.exits(trained.heads)))
        let speedUps = automatic.candidates.map(\.smoothedSpeedUp)
        #expect(zip(speedUps, speedUps.dropFirst()).allSatisfy { $0 >= $1 })
        let pool = AutomaticRule.Pool()
        // Three classes, so maximum probability and margin are tried.
        #expect(automatic.candidates.count == 2 * pool.memories.count * pool.searches.count)
        #expect(experiment.recipe.rule == automatic.rule && automatic.rule == automatic.candidates[0].rule)
        #expect(experiment.recipe.search == automatic.search && automatic.search == automatic.candidates[0].search)
        let outputs = try experiment.outputs(of: experiment.exits(trained.heads))
        let prediction = try Calibrator(experiment)
            .prediction(tune: outputs[.tune], certifySamples: outputs[.certify].sampleCount)
        #expect(prediction == automatic.candidates[0].prediction)
    }

    @Test("does not depend on what certify says, and is written into the policy by its own name")
    func certifyUntouched() throws {
        let trained = try Self.automatic.get()
        var experiment = trained.experiment
        let automatic = try #require(try experiment.pickRule(for: experiment.exits(trained.heads)))
        var tune: [ConfidenceMeasure: ExitOutputs] = [:]
        for measure in [ConfidenceMeasure.maxProbability, .margin] {
            tune[measure] = try experiment.exits(trained.heads).outputs(rows: experiment.splits.tune, measure: measure)
        }
        // The tune split and the size of certify are all there is to go by.
        let again = try AutomaticRule(
            Calibrator(trained.experiment), tune: tune, certifySamples: experiment.splits.certify.count, classCount: 3)
        #expect(again.candidates == automatic.candidates)

        let folder = try TemporaryFolder()
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(trained.heads)))
        let policy = try Policy(result, of: experiment, headsFile: folder.file("heads.safetensors"))
        #expect(policy.rule.kind == .beem && policy.rule.weights == automatic.rule.weights.name)
        #expect(policy.rule.memory == automatic.rule.memory && policy.rule.confidence == automatic.rule.confidence)
    }

    @Test("a recipe that names its rule keeps it")
    func named() throws {
        let trained = try TrainedExperiment.standard.get()
        var experiment = trained.experiment
        #expect(try experiment.pickRule(for: experiment.exits(trained.heads)) == nil)
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
        let comparison = try RuleComparison(trained.experiment, exits: trained.experiment.exits(trained.heads))
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
        let result = try trained.calibrate { $0.search = .perExitCoordinate(starts: 2, moves: .pairs) }
        let optimality = try #require(result.optimality)
        #expect(optimality.found == result.outcome(of: result.tunedThresholds, on: .tune).speedUp)
        #expect(optimality.bound >= optimality.found)
        #expect(try trained.calibrate().optimality == nil)
    }

    @Test("predictions are averaged over neighbours in memory and search, not over the edge of a measure's block")
    func averages() {
        // Two blocks of 2 x 3.
        let values: [Double] = [1, 2, 3, 4, 5, 6, 100, 200, 300, 400, 500, 600]
        func average(_ index: Int) -> Double {
            AutomaticRule.average(at: index, of: values, rows: 2, columns: 3, neighbourWeight: 0.5)
        }
        // (1 + (4 + 2) / 2) / 2; (2 + (5 + 1 + 3) / 2) / 2.5; (6 + (3 + 5) / 2) / 2; (100 + (400 + 200) / 2) / 2
        #expect(average(0) == 2)
        #expect(average(1) == 2.6)
        #expect(average(5) == 5)
        #expect(average(6) == 200)
        let alone = AutomaticRule.average(at: 4, of: values, rows: 2, columns: 3, neighbourWeight: 0)
        #expect(alone == 5)
    }

    @Test("a family that the recipe names is kept, and the rule alone is picked")
    func searchNamed() throws {
        let trained = try TrainedExperiment(
            SyntheticCache(), extra: "rule: { kind: auto }\nsearch: { thresholds: curve, slope: -1 }")
        var experiment = trained.experiment
        let automatic = try #require(try experiment.pickRule(for: experiment.exits(trained.heads)))
        #expect(automatic.candidates.allSatisfy { $0.search == .curve(DepthCurve(slope: -1)) })
        #expect(experiment.recipe.search == .curve(DepthCurve(slope: -1)))
    }
}
