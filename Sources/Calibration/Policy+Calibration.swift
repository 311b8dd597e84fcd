import ExitPolicy
import ExitRules
import Foundation
import RiskControl
import Safetensors
import ThresholdOptimizer

extension Policy {
    /// The policy of a calibration.
    ///
    /// - Parameters:
    ///   - result: what the calibration found.
    ///   - experiment: what it was made from.
    ///   - headsFile: the file of the heads, which lies in the policy's folder; nil where the exits' outputs came from
    ///     elsewhere.
    /// - Throws: `InputError` when the heads cannot be read.
    public init(_ result: CalibrationResult, of experiment: Experiment, headsFile: String?) throws(InputError) {
        try self.init(
            weights: result.weights, thresholds: result.thresholds, certificate: result.certificate,
            test: result.outcome(on: .test), finalError: result.finalError(on: .test), of: experiment,
            headsFile: headsFile)
    }

    /// The policy of a calibration on counts.
    ///
    /// - Parameters:
    ///   - result: what the calibration found.
    ///   - experiment: what it was made from.
    ///   - headsFile: the file of the heads, which lies in the policy's folder; nil where the exits' outputs came from
    ///     elsewhere.
    /// - Throws: `InputError` when the heads cannot be read.
    public init(_ result: CountedCalibration, of experiment: Experiment, headsFile: String?) throws(InputError) {
        try self.init(
            weights: result.weights, thresholds: result.thresholds, certificate: result.certificate,
            test: result.outcomes[.test]!, finalError: result.finalError(on: .test), of: experiment,
            headsFile: headsFile)
    }

    private init(
        weights: [Double], thresholds: Thresholds, certificate: Certificate?, test: Outcome, finalError: Double,
        of experiment: Experiment, headsFile: String?
    ) throws(InputError) {
        let heads = try headsFile.map { file throws(InputError) in
            HeadsReference(file: URL(fileURLWithPath: file).lastPathComponent, sha256: try sha256(ofFile: file))
        }
        let recipe = experiment.recipe
        let isBEEM = recipe.rule.kind == .beem
        // The exact interval takes samples for independent.
        let gap = experiment.maximumGroupSize > 1 ? nil : RiskGapInterval(test.counts)
        let exits = experiment.costs.cumulative.indices.map { exit in
            Exit(
                index: exit, name: experiment.samples.exitNames[exit], cost: experiment.costs.cumulative[exit],
                weight: weights[exit],
                threshold: exit < thresholds.values.count ? thresholds.values[exit] : nil)
        }
        self.init(
            name: recipe.name, classes: experiment.samples.classes,
            rule: RuleDescription(
                kind: recipe.rule.kind, weights: isBEEM ? recipe.rule.weights.name : nil,
                memory: isBEEM ? recipe.rule.memory : nil, confidence: recipe.rule.confidence,
                restart: isBEEM ? recipe.rule.restart : nil, tolerance: recipe.rule.tolerance),
            exits: exits,
            costWithoutExits: experiment.costs.full == experiment.costs.cumulative.last ? nil : experiment.costs.full,
            heads: heads, certificate: certificate,
            test: TestResult(
                error: test.errorRate, finalError: finalError,
                speedUp: test.speedUp, gapInterval: gap.map { [$0.lower, $0.upper] }, samples: test.sampleCount,
                harmfulFlips: test.counts.harmfulFlips, helpfulFlips: test.counts.helpfulFlips),
            provenance: Provenance(
                recipe: recipe.textHash, features: .init(sha256: experiment.dataHash),
                splits: recipe.splits.fractions, seed: recipe.seed, tool: "beem \(Calibration.version)"))
    }
}
