import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import ThresholdOptimizer

/// Runs methods on one draw, and keeps what several of them need.
struct StudyBench {
    let experiment: Experiment
    let memory: RejectionMemory
    private var prepared: [Prepared] = []

    /// The candidates of a rule and a search, found on tune, with their evidence.
    private struct Prepared {
        var rule: Recipe.RuleChoice
        var search: Recipe.SearchChoice
        var exitRule: any ExitRule
        var certifier: Certifier
        var tune: SplitView
        var certify: SplitView
        var candidates: CandidateSet
        var evidence: PathEvidence
    }

    /// - Parameter memory: shared by the draws of a study.
    init(experiment: Experiment, memory: RejectionMemory) {
        self.experiment = experiment
        self.memory = memory
    }

    /// What a method comes to.
    ///
    /// - Parameters:
    ///   - drawn: the splits of this draw, by what confidence measures.
    ///   - pools: everything that is drawn from.
    mutating func trial(
        _ method: StudyMethod, drawn: [ConfidenceMeasure: [Split: ExitOutputs]],
        pools: [ConfidenceMeasure: ExitOutputs]
    ) throws(InputError) -> Study.Trial {
        if case .automatic(let pool) = method.choice {
            let picked = try AutomaticRule(
                Calibrator(experiment), tune: drawn.mapValues { $0[.tune]! },
                certifySamples: experiment.splits.certify.count, classCount: experiment.samples.classes.count,
                pool: pool)
            let standard = StudyMethod.Choice.certified(
                search: picked.search, order: experiment.recipe.guarantee.order, test: .standard)
            return try trial(
                StudyMethod(name: method.name, rule: picked.rule, choice: standard), drawn: drawn, pools: pools)
        }
        let outputs = drawn[method.rule.confidence]!
        let pool = pools[method.rule.confidence]!
        let rule: any ExitRule
        let thresholds: Thresholds?
        switch method.choice {
        case .automatic: preconditionFailure("a rule has been picked")
        case .tunedToEquality:
            let prepared = try prepare(method.rule, .single, outputs)
            rule = prepared.exitRule
            thresholds = prepared.candidates.tuned
        case .perExitRule:
            let prepared = try prepare(method.rule, .single, outputs)
            rule = prepared.exitRule
            thresholds = PerExitRule.thresholds(on: prepared.tune.whole.table)
        case .certified(let search, let order, let test):
            let prepared = try prepare(method.rule, search, outputs)
            rule = prepared.exitRule
            thresholds = certified(prepared, order: order, test: test)
        case .clippedLossSequence(let usesTune):
            let calibrator = calibrator(method.rule, .single)
            rule = calibrator.exitRule(weights: calibrator.weights(tune: outputs[.tune]!))
            thresholds = clippedLossSequence(
                usesTune ? [outputs[.tune]!, outputs[.certify]!] : [outputs[.certify]!], rule: rule,
                reference: calibrator.referenceExit(tune: outputs[.tune]!))
        }
        let used = thresholds ?? .neverLeaveEarly(exitCount: experiment.costs.count)
        let certifier = calibrator(method.rule, .single).certifier(tune: outputs[.tune]!)
        let test = evaluate(used, on: certifier.view(outputs[.test]!, rule: rule).whole.table)
        let trueGaps = certifier.view(pool, rule: rule).demandedParts.map {
            evaluate(used, on: $0.table).counts.riskGap
        }
        return Study.Trial(
            isCertified: thresholds != nil, speedUp: test.speedUp, testGap: test.counts.riskGap,
            trueGap: trueGaps.max() ?? 0)
    }

    private func calibrator(_ rule: Recipe.RuleChoice, _ search: Recipe.SearchChoice) -> Calibrator {
        var calibrator = Calibrator(experiment)
        calibrator.recipe.rule = rule
        calibrator.recipe.search = search
        return calibrator
    }

    private mutating func prepare(
        _ rule: Recipe.RuleChoice, _ search: Recipe.SearchChoice, _ outputs: [Split: ExitOutputs]
    ) throws(InputError) -> Prepared {
        if let found = prepared.first(where: { $0.rule == rule && $0.search == search }) { return found }
        let calibrator = calibrator(rule, search)
        let exitRule = calibrator.exitRule(weights: calibrator.weights(tune: outputs[.tune]!))
        let certifier = calibrator.certifier(tune: outputs[.tune]!)
        let tune = certifier.view(outputs[.tune]!, rule: exitRule)
        let candidates = try CandidateSet.search(tune.whole.table, recipe: calibrator.recipe)
        let new = Prepared(
            rule: rule, search: search, exitRule: exitRule, certifier: certifier, tune: tune,
            certify: certifier.view(outputs[.certify]!, rule: exitRule), candidates: candidates,
            evidence: PathEvidence(candidates.path, on: tune))
        prepared.append(new)
        return new
    }

    private func certified(
        _ prepared: Prepared, order: CandidateOrder, test: StudyMethod.Test
    ) -> Thresholds? {
        var certifier = prepared.certifier
        certifier.guarantee.order = order
        certifier.memory = memory
        var certify = prepared.certify
        switch test {
        case .standard: break
        case .exactBinomial: certifier.method = .paired(.exactBinomial)
        case .betting:
            certifier.method = .betting(maximumGroupSize: 1)
            certify.whole.groups = Array(0..<certify.whole.table.sampleCount)
        }
        let plan = certifier.plan(
            prepared.evidence, allowedGap: certifier.guarantee.allowedGap,
            samples: prepared.tune.whole.table.sampleCount, certifySamples: certify.whole.table.sampleCount)
        return certifier.certify(prepared.candidates.path, plan: plan, on: certify).thresholds
    }

    /// A thousand thresholds from 1 to 0, from the conservative end, at the full level each.
    private func clippedLossSequence(
        _ samples: [ExitOutputs], rule: any ExitRule, reference: Int
    ) -> Thresholds? {
        let path = PolicyPath(
            sharedThresholds: (0...1000).map { 1 - Double($0) / 1000 }, exitCount: experiment.costs.count)
        let points = samples.map {
            path.points(
                on: ScoreTable(outputs: $0, rule: rule, costs: experiment.costs.cumulative, reference: reference))
        }
        let guarantee = experiment.recipe.guarantee
        let walk = FallbackProcedure(level: guarantee.level).walk(
            along: CandidatePlan(candidates: Array(0..<path.count))
        ) { policy, level in
            let counts = points.map { $0[policy].counts }
            return clippedLossPValue(counts.dropFirst().reduce(counts[0], +), allowedGap: guarantee.allowedGap) <= level
        }
        return walk.last.map { path.thresholds(of: $0) }
    }
}
