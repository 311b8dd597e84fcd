import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import ThresholdOptimizer

/// From exit outputs to a policy: weights, candidates and their order on tune, the certificate on certify, the result
/// on test.
public struct Calibrator: Sendable {
    /// What the user wants.
    public var recipe: Recipe
    /// [exits]: cumulative costs.
    public var costs: [Double]

    /// Creates a calibrator.
    public init(recipe: Recipe, costs: [Double]) {
        self.recipe = recipe
        self.costs = costs
    }

    /// [exits]: the weights of the recipe's rule, from the tune split; 1 for rules without weights.
    public func weights(tune: ExitOutputs) -> [Double] {
        guard recipe.rule.kind == .beem else { return costs.map { _ in 1 } }
        return recipe.rule.weights.values(errors: tune.errorCounts, sampleCount: tune.sampleCount, costs: costs)
    }

    /// Calibrates.
    ///
    /// The tune split proposes and orders candidates; the certify split tests them in that order, each at the full
    /// failure probability, until one fails; the last that passed is the policy. When the first fails, the policy never
    /// leaves early and has no certificate.
    ///
    /// - Complexity: O(N L log(N L)) for one shared threshold, and O(N L) for each candidate tested.
    public func calibrate(_ outputs: SplitOutputs) throws(InputError) -> CalibrationResult {
        let weights = weights(tune: outputs[.tune])
        let rule = exitRule(weights: weights)
        func table(_ split: Split) -> ScoreTable { makeTable(outputs[split], rule: rule) }
        let tune = table(.tune)
        let certify = table(.certify)
        let candidates = try CandidateSet.search(tune, recipe: recipe)

        let guarantee = recipe.guarantee
        let order = guarantee.order
        let sequence = order.candidates(
            counts: candidates.counts, costs: candidates.meanCosts, allowedGap: guarantee.allowedGap)
        let walk = FixedSequence(level: guarantee.failureProbability).walk(along: sequence) {
            guarantee.pValue(evaluate(candidates.thresholds($0), on: certify).counts)
        }
        let thresholds =
            walk.last.map { candidates.thresholds($0.candidate) } ?? .neverLeaveEarly(exitCount: costs.count)
        let certified = evaluate(thresholds, on: certify)
        let certificate = walk.last.map { last in
            Certificate(
                kind: guarantee.certificateKind, allowedGap: guarantee.allowedGap,
                failureProbability: guarantee.failureProbability, samples: certified.sampleCount,
                harmfulFlips: certified.counts.harmfulFlips, helpfulFlips: certified.counts.helpfulFlips,
                pValue: last.pValue, candidatesTested: walk.tested.count, order: order.rawValue, certifyUses: 1,
                speedUp: certified.speedUp)
        }
        return CalibrationResult(
            weights: weights, rule: rule, thresholds: thresholds, tunedThresholds: candidates.tuned,
            tunedAlternatives: tunedAlternatives(tune),
            certificate: certificate, candidateCount: candidates.counts.count, sequenceLength: sequence.count,
            testedCount: walk.tested.count,
            tables: [.train: table(.train), .tune: tune, .certify: certify, .test: table(.test)])
    }

    /// What is usually done instead of certifying: tuning to equality, and the paper's per-exit rule.
    private func tunedAlternatives(_ tune: ScoreTable) -> [(name: String, thresholds: Thresholds)] {
        let frontier = SingleThresholdFrontier(tune)
        let shared = frontier.thresholds(of: frontier.best(allowedGap: recipe.guarantee.allowedGap))
        let perExit = CandidateSet.perExitCoordinate(tune, recipe: recipe, starts: 4)
        return [
            ("one threshold, tuned (exact)", shared), ("per exit, tuned (coordinate search)", perExit),
            ("per exit, the paper's rule", PerExitRule.thresholds(on: tune)),
        ]
    }

    /// The recipe's rule with weights filled in.
    func exitRule(weights: [Double]) -> any ExitRule {
        switch recipe.rule.kind {
        case .beem: BEEMRule(weights: weights, memory: recipe.rule.memory, restart: recipe.rule.restart)
        case .maxProbability: MaximumProbabilityRule()
        }
    }

    private func makeTable(_ outputs: ExitOutputs, rule: any ExitRule) -> ScoreTable {
        ScoreTable(outputs: outputs, rule: rule, costs: costs)
    }
}

/// What a calibration found.
public struct CalibrationResult: Sendable {
    /// [exits]: the weights.
    public let weights: [Double]
    /// The rule with its weights.
    public let rule: any ExitRule
    /// The certified thresholds, or those that never leave early.
    public let thresholds: Thresholds
    /// The fastest thresholds within the allowed gap on the tune split; not certified.
    public let tunedThresholds: Thresholds
    /// Ways to set thresholds on the tune split that carry no certificate, by name: how much they promise on tune and
    /// keep on test shows what certification is for.
    public let tunedAlternatives: [(name: String, thresholds: Thresholds)]
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?
    /// How many policies the search on tune offered.
    public let candidateCount: Int
    /// How many of them were put in order for the certify split.
    public let sequenceLength: Int
    /// How many were tested there.
    public let testedCount: Int
    /// The scores of every split.
    public let tables: [Split: ScoreTable]

    /// What some thresholds do on a split.
    ///
    /// - Complexity: O(samples * exits).
    public func outcome(of thresholds: Thresholds, on split: Split) -> Outcome {
        evaluate(thresholds, on: tables[split]!)
    }

    /// What the policy does on a split.
    public func outcome(on split: Split) -> Outcome { outcome(of: thresholds, on: split) }
}
