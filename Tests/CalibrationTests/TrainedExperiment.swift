import ExitHeads
import ExitRules
import FeatureCache
import Foundation
import TestSupport

@testable import Calibration

/// A synthetic experiment with its heads and what they say: trained once, calibrated in many ways.
///
/// The folder is gone when the experiment is there; the cache stays mapped.
struct TrainedExperiment {
    let experiment: Experiment
    let heads: HeadSet
    let outputs: SplitOutputs

    init(_ cache: SyntheticCache = SyntheticCache(), splits: String? = nil, extra: String = "") throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        experiment = try Experiment(
            Recipe(reading: writeRecipe(in: folder, cache: cache, splits: splits, extra: extra)))
        heads = HeadSet(heads: try experiment.train().map(\.head))
        outputs = try experiment.outputs(of: experiment.exits(heads))
    }

    /// The cache that most tests are content with.
    static let standard = Result { try TrainedExperiment() }

    /// A calibrator with a changed recipe.
    func calibrator(_ change: (inout Recipe) -> Void = { _ in }) -> Calibrator {
        var calibrator = Calibrator(experiment)
        change(&calibrator.recipe)
        switch calibrator.recipe.guarantee.parts?.partition {
        case .classes: calibrator.partNames = experiment.samples.classes
        case .subgroups: calibrator.partNames = experiment.samples.subgroupNames
        case nil: break
        }
        return calibrator
    }

    /// Calibrates with a changed recipe.
    func calibrate(_ change: (inout Recipe) -> Void = { _ in }) throws -> CalibrationResult {
        try calibrator(change).calibrate(outputs)
    }
}

/// What a policy does on outputs, by a plain loop over samples: how often it flips against an exit, and how often its
/// label is another than that exit's.
struct PlainCounts: Equatable {
    var samples = 0
    var harmful = 0
    var helpful = 0
    var disagreements = 0

    /// - Parameter rows: which samples; all of them where none are given.
    init(_ thresholds: Thresholds, rule: any ExitRule, outputs: ExitOutputs, reference: Int, rows: [Int]? = nil) {
        for sample in rows ?? Array(0..<outputs.sampleCount) {
            var previous: ScoredLabel?
            var exit = 0
            while exit < outputs.exitCount - 1 {
                let prediction = outputs.prediction(exit: exit, sample: sample)
                let score = rule.score(of: prediction, at: exit, after: previous)
                if let threshold = thresholds.values[exit], score >= threshold { break }
                previous = ScoredLabel(label: prediction.label, score: score)
                exit += 1
            }
            let label = outputs.labels[exit][sample]
            let other = outputs.labels[reference][sample]
            let truth = outputs.truth[sample]
            samples += 1
            if label != truth && other == truth { harmful += 1 }
            if label == truth && other != truth { helpful += 1 }
            if label != other { disagreements += 1 }
        }
    }
}
