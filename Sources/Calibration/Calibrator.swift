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
    /// What coming to each exit costs.
    public var costs: ExitCosts
    /// The largest group of samples that can occur; 1 when all samples are independent.
    public var maximumGroupSize: Int
    /// [classes or subgroups]: the names of the parts the guarantee speaks of.
    public var partNames: [String]

    /// Creates a calibrator.
    public init(recipe: Recipe, costs: ExitCosts, maximumGroupSize: Int = 1, partNames: [String] = []) {
        self.recipe = recipe
        self.costs = costs
        self.maximumGroupSize = maximumGroupSize
        self.partNames = partNames
    }

    /// Creates the calibrator of an experiment.
    public init(_ experiment: Experiment) {
        self.init(
            recipe: experiment.recipe, costs: experiment.costs, maximumGroupSize: experiment.maximumGroupSize,
            partNames: experiment.partNames)
    }

    /// [exits]: the weights of the recipe's rule, from the tune split; 1 for rules without weights.
    public func weights(tune: ExitOutputs) -> [Double] {
        weights(errors: tune.errorCounts, sampleCount: tune.sampleCount)
    }

    /// The same from counts.
    ///
    /// - Parameter errors: [exits]: how many samples of tune each gets wrong.
    func weights(errors: [Int], sampleCount: Int) -> [Double] {
        guard recipe.rule.kind == .beem else { return costs.cumulative.map { _ in 1 } }
        return recipe.rule.weights.values(errors: errors, sampleCount: sampleCount, costs: costs.cumulative)
    }

    /// The exit that policies are compared with.
    func referenceExit(tune: ExitOutputs) -> Int { referenceExit(errors: tune.errorCounts) }

    /// The same from counts.
    func referenceExit(errors: [Int]) -> Int {
        switch recipe.guarantee.reference {
        case .final: return costs.count - 1
        case .exit(let index): return index
        case .best:
            let least = errors.min() ?? 0
            return errors.lastIndex(of: least) ?? costs.count - 1
        }
    }

    /// What tests candidates, once tune has named the reference.
    func certifier(tune: ExitOutputs) -> Certifier {
        Certifier(
            guarantee: recipe.guarantee, seed: recipe.seed, costs: costs, reference: referenceExit(tune: tune),
            maximumGroupSize: maximumGroupSize, partNames: partNames)
    }

    /// Calibrates.
    ///
    /// The tune split proposes candidates and puts them in order; the certify split tests them in that order. The
    /// fastest that passed is the policy. When none does, the policy never leaves early and has no certificate.
    ///
    /// - Parameters:
    ///   - outputs: what the exits say, split by split.
    ///   - certifyUses: how many runs have used the certify split, this one included; see ``CertifyLog``.
    /// - Throws: `InputError` when the recipe's grid has too many policies.
    /// - Complexity: O(N L log(N L)) for one shared threshold, one pass over certify, and one decision of the test for
    ///   each candidate tested.
    public func calibrate(_ outputs: SplitOutputs, certifyUses: Int = 1) throws(InputError) -> CalibrationResult {
        let weights = weights(tune: outputs[.tune])
        let rule = exitRule(weights: weights)
        let certifier = certifier(tune: outputs[.tune])
        let tune = certifier.view(outputs[.tune], rule: rule)
        let certify = certifier.view(outputs[.certify], rule: rule)
        let candidates = try CandidateSet.search(tune.whole.table, recipe: recipe)
        let found: CertifiedCandidate
        if let goal = recipe.minimumSpeedUp {
            found = certifier.smallestGap(candidates.path, minimumSpeedUp: goal, tune: tune, certify: certify)
        } else {
            let plan = certifier.plan(
                PathEvidence(candidates.path, on: tune), allowedGap: recipe.guarantee.allowedGap,
                samples: tune.whole.table.sampleCount, certifySamples: certify.whole.table.sampleCount)
            found = certifier.certify(candidates.path, plan: plan, on: certify)
        }
        func table(_ split: Split) -> ScoreTable { self.table(outputs[split], tune: outputs[.tune]) }
        // Where errors are what counts, the tables are there already.
        let isErrorLoss = recipe.guarantee.loss == .error
        let tuneTable = isErrorLoss ? tune.whole.table : table(.tune)
        let certifyTable = isErrorLoss ? certify.whole.table : table(.certify)
        return CalibrationResult(
            weights: weights, rule: rule, reference: certifier.reference,
            thresholds: found.thresholds ?? .neverLeaveEarly(exitCount: costs.count),
            tunedThresholds: candidates.tuned, tunedAlternatives: try tunedAlternatives(tune.whole.table),
            certificate: certifier.certificate(
                found, on: certify.whole, outputs: outputs[.certify], uses: certifyUses),
            sequenceLength: found.planned, candidates: candidates.path, tested: found.tested, passed: found.passed,
            partsTooSmall: certifier.partsTooSmall(certify),
            optimality: optimality(of: candidates.tuned, on: tune.whole.table),
            tables: [.train: table(.train), .tune: tuneTable, .certify: certifyTable, .test: table(.test)])
    }

    /// A split scored by the recipe's rule, with errors as the loss.
    ///
    /// - Parameters:
    ///   - outputs: what the exits say of the split.
    ///   - tune: where weights, and the reference, come from.
    public func table(_ outputs: ExitOutputs, tune: ExitOutputs) -> ScoreTable {
        ScoreTable(
            outputs: outputs, rule: exitRule(weights: weights(tune: tune)), costs: costs.cumulative,
            reference: referenceExit(tune: tune), fullCost: costs.full)
    }

    /// What usually is done instead of certifying: tuning to equality, and the paper's per-exit rule.
    private func tunedAlternatives(
        _ tune: ScoreTable
    ) throws(InputError) -> [(name: String, thresholds: Thresholds)] {
        let frontier = SingleThresholdFrontier(tune)
        let shared = frontier.thresholds(of: frontier.best(allowedGap: recipe.guarantee.allowedGap))
        // Pairs take many times as long, more than a comparison is worth on a large tune split.
        let perExit = CandidateSet.perExitCoordinate(
            tune, recipe: recipe, starts: 4, moves: tune.sampleCount <= 20_000 ? .pairs : .single)
        return [
            ("one threshold, tuned (exact)", shared), ("per exit, tuned (coordinate search)", perExit),
            ("per exit, the paper's rule", PerExitRule.thresholds(on: tune)),
        ]
    }

    /// How far thresholds per exit are from the best of a grid.
    private func optimality(of found: Thresholds, on tune: ScoreTable) -> CalibrationResult.Optimality? {
        switch recipe.search {
        case .perExitCoordinate, .perExitGrid: break
        case .single, .curve, .shrunk: return nil
        }
        let values = 16
        let result = BranchAndBound(
            table: tune, allowedGap: recipe.guarantee.allowedGap, valuesPerExit: values
        ).run(incumbent: found, budget: 1000)
        // Free of the grid, what was found may be faster than anything on it.
        let speedUp = evaluate(found, on: tune).speedUp
        return CalibrationResult.Optimality(
            found: speedUp, bound: max(speedUp, result.upperBound),
            valuesPerExit: values)
    }

    /// The recipe's rule with weights filled in.
    func exitRule(weights: [Double]) -> any ExitRule {
        recipe.rule.kind.exitRule(weights: weights, memory: recipe.rule.memory, restart: recipe.rule.restart)
    }
}
