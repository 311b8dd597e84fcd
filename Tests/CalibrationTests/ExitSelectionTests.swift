import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import Statistics
import TestSupport
import Testing

@testable import Calibration

@Suite("Exits that pay for their checks")
struct ExitSelectionTests {
    /// Eight exits, and a check that costs as much as a layer.
    static let dear = Result {
        var cache = SyntheticCache()
        cache.exits = 8
        cache.samples = 2400
        return try TrainedExperiment(cache, extra: "cost: { layers: { check: 1 } }\nsearch: { exits: choose }")
    }

    @Test("are those from which no single step leads on, by predictions that do not look at certify")
    func localOptimum() throws {
        let trained = try Self.dear.get()
        let exits = try trained.experiment.exits(trained.heads)
        let selection = try #require(try trained.experiment.offering(exits).selection)
        #expect(selection.exits.last == 7 && selection.exits.count < 8)
        let (best, all) = (try #require(selection.predictedSpeedUp), try #require(selection.predictedOfAll))
        #expect(best > all)
        #expect(selection.switchedOff.count == 8 - selection.exits.count)
        #expect(selection.switchedOff.allSatisfy { $0.hasPrefix("layer ") })
        // The tune split and the size of certify are all there is to go by.
        let calibrator = Calibrator(trained.experiment)
        let tune = trained.outputs[.tune]
        let again = try ExitSelection(
            calibrator, tune: tune, names: trained.experiment.samples.exitNames,
            certifySamples: trained.experiment.splits.certify.count, threads: 1)
        #expect(again == selection)
        for exit in 0..<7 {
            let isKept = selection.exits.contains(exit)
            let other = isKept ? selection.exits.filter { $0 != exit } : (selection.exits + [exit]).sorted()
            guard other.count > 1 else { continue }
            let score = try ExitSelection.score(
                calibrator.selecting(exits: other), tune: tune.selecting(exits: other),
                certifySamples: trained.experiment.splits.certify.count)
            #expect(score <= best, "\(exit) switched \(isKept ? "off" : "on")")
        }
    }

    @Test("are the one of six that is of use, where the others guess: with all of them nothing could be saved")
    func pays() throws {
        var generator = SplitMix64(seed: 4)
        func outputs(_ samples: Int) -> ExitOutputs {
            func uniform() -> Double { Double.random(in: 0..<1, using: &generator) }
            let truth = (0..<samples).map { Int32($0 % 3) }
            let ease = truth.map { _ in uniform() }
            let labels = (0..<6).map { exit in
                truth.indices.map { sample in
                    let isRight = uniform() < (exit < 4 ? 1.0 / 3 : exit == 4 ? 0.85 + 0.15 * ease[sample] : 0.85)
                    return isRight ? truth[sample] : (truth[sample] + (uniform() < 0.5 ? 1 : 2)) % 3
                }
            }
            let confidences = (0..<6).map { exit in
                ease.map { Float(exit < 4 ? 0.34 + 0.1 * uniform() : 0.5 + 0.5 * $0) }
            }
            return ExitOutputs(truth: truth, labels: labels, confidences: confidences)
        }
        let splits = SplitOutputs(
            Dictionary(uniqueKeysWithValues: Split.allCases.map { ($0, outputs($0 == .train ? 3 : 900)) }))
        let recipe = try Recipe(
            parsing: "name: n\noutputs: o.csv\nsplits: stored\noutput: out\nsearch: { exits: choose }",
            file: "recipe.yaml")
        let calibrator = Calibrator(
            recipe: recipe, costs: ExitCosts(cumulative: (1...6).map { 2 * Double($0) }, checks: [1, 1, 1, 1, 1, 1]))
        let selection = try ExitSelection(
            calibrator, tune: splits[.tune], names: (0..<6).map { "layer \($0)" }, certifySamples: 900, threads: 2)
        #expect(selection.exits == [4, 5])
        #expect(try calibrator.calibrate(splits).certificate == nil)
        let chosen = try calibrator.selecting(exits: [4, 5])
            .calibrate(SplitOutputs(splits.bySplit.mapValues { $0.selecting(exits: [4, 5]) }))
        #expect(chosen.certificate != nil)
        // Seven without exits; six for those who leave at exit 4, and eight for the others.
        let outcome = chosen.outcome(on: .test)
        #expect(outcome.costs == [6, 8] && outcome.fullCost == 7)
        #expect(outcome.speedUp > 1.1 && outcome.speedUp <= 7.0 / 6)
    }

    @Test("cost what the exits that remain cost, and speed-up is relative to the network without exits")
    func costs() throws {
        let trained = try Self.dear.get()
        let opened = trained.experiment
        let offering = try opened.offering(opened.exits(trained.heads))
        let chosen = try Calibrator(offering.experiment).calibrate(offering.experiment.outputs(of: offering.exits))
        let kept = try #require(offering.selection).exits
        let costs = offering.experiment.costs
        #expect(costs.cumulative == kept.enumerated().map { Double($1 + 1) + Double($0 + 1) } && costs.full == 9)
        // The speed-up by hand: nine over what the exits that were taken cost.
        let table = chosen.tables[.test]!
        let paid = table.exitsTaken(chosen.thresholds).reduce(0) { $0 + costs.cumulative[$1] }
        #expect(abs(chosen.outcome(on: .test).speedUp - 9 * Double(table.sampleCount) / paid) < 1e-12)
    }

    @Test(
        "are all of them where checks cost next to nothing and each is needed, and those named where a recipe names some"
    )
    func named() throws {
        let trained = try TrainedExperiment(extra: "search: { exits: [1] }")
        let opened = trained.experiment
        let offering = try opened.offering(opened.exits(trained.heads))
        let selection = try #require(offering.selection)
        #expect(selection.exits == [1, 3] && selection.switchedOff == ["layer 0", "layer 2"])
        #expect(selection.predictedSpeedUp == nil && offering.experiment.samples.exitNames == ["layer 1", "layer 3"])
        #expect(offering.experiment.costs == ExitCosts(cumulative: [2, 4]))
        #expect(try TrainedExperiment.standard.get().experiment.offering(opened.exits(trained.heads)).selection == nil)
        // What the exits say is what they said among all.
        let outputs = try offering.experiment.outputs(of: offering.exits)
        for split in Split.allCases { #expect(outputs[split] == trained.outputs[split].selecting(exits: [1, 3])) }
    }

    @Test("take their weights with them where those were given by hand")
    func weights() throws {
        let trained = try TrainedExperiment(
            extra: "rule: { kind: beem, weights: [0.1, 0.2, 0.3, 0.4] }\nsearch: { exits: [0, 2] }")
        let offering = try trained.experiment.offering(trained.experiment.exits(trained.heads))
        #expect(offering.experiment.recipe.rule.weights == .given([0.1, 0.3, 0.4]))
        let outputs = try offering.experiment.outputs(of: offering.exits)
        #expect(Calibrator(offering.experiment).weights(tune: outputs[.tune]) == [0.1, 0.3, 0.4])
    }

    @Test("are chosen for the rule that is picked, and the rule is picked again for them")
    func automatic() throws {
        var cache = SyntheticCache()
        cache.exits = 6
        let trained = try TrainedExperiment(
            cache, extra: "rule: { kind: auto }\ncost: { layers: { check: 1 } }\nsearch: { exits: choose }")
        let opened = trained.experiment
        let settled = try opened.settled(for: opened.exits(trained.heads))
        let selection = try #require(settled.selection)
        let automatic = try #require(settled.automatic)
        #expect(settled.experiment.recipe.rule == automatic.rule)
        #expect(settled.experiment.samples.exitCount == selection.exits.count)
        var first = opened
        let before = try #require(try first.pickRule(for: opened.exits(trained.heads)))
        #expect(first.recipe.rule == before.rule)
        #expect(try first.offering(opened.exits(trained.heads)).selection == selection)
    }
}
