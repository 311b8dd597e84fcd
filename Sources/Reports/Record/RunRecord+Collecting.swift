import Calibration
import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import ThresholdOptimizer

extension RunRecord {
    /// Collects what a run found.
    ///
    /// - Parameters:
    ///   - exits: what the exits say, asked again where another rule needs another measure of confidence.
    ///   - usage: who else has used the certify split.
    ///   - files: the SHA-256 of the files beside it, by name.
    /// - Throws: ``InputError`` when heads and features do not fit.
    /// - Complexity: a sweep of tune and one of test for each of the other rules; memory that of two score tables.
    public init(
        _ experiment: Experiment, exits: ExitSource, outputs: SplitOutputs, result: CalibrationResult,
        usage: CertifyLog.Usage, tradeOff: TradeOff?, automatic: AutomaticRule?, selection: ExitSelection?,
        files: [String: String]
    ) throws(InputError) {
        let (tune, test) = (result.tables[.tune]!, result.tables[.test]!)
        let recipe = experiment.recipe
        name = recipe.name
        self.files = files
        self.recipe = recipe.text
        rule = recipe.rule.title + recipe.search.ending
        costUnit = recipe.cost.unit
        samples = Samples(
            count: experiment.samples.sampleCount,
            splits: Dictionary(uniqueKeysWithValues: Split.allCases.map { ("\($0)", experiment.splits[$0].count) }),
            maximumGroupSize: experiment.maximumGroupSize)
        guarantee = Guarantee(
            allowedGap: result.certificate?.allowedGap ?? recipe.guarantee.allowedGap,
            failureProbability: recipe.guarantee.failureProbability, uses: recipe.guarantee.uses,
            reference: result.reference, certifyUses: usage.uses, otherDraws: usage.otherDraws)
        walk = Walk(result)
        splits = Dictionary(
            uniqueKeysWithValues: [Split.tune, .certify, .test].map { split in
                let isIndependent = experiment.maximumGroupSize == 1
                // Thresholds were chosen on the other splits; only on test does an interval mean what it says.
                let interval =
                    split == .test && isIndependent ? RiskGapInterval(result.outcome(on: split).counts) : nil
                return (
                    "\(split)",
                    PolicyOnSplit(
                        result.thresholds, on: result.tables[split]!,
                        gapInterval: interval.map { [$0.lower, $0.upper] })
                )
            })
        alternatives = result.tunedAlternatives.map { name, thresholds in
            func told(_ split: Split) -> SpeedAndGap {
                let outcome = result.outcome(of: thresholds, on: split)
                return SpeedAndGap(speedUp: outcome.speedUp, gap: outcome.counts.riskGap)
            }
            return Alternative(name: name, tune: told(.tune), test: told(.test))
        }
        self.tradeOff = tradeOff?.lines
        self.automatic = automatic.map {
            Automatic(candidates: $0.candidates.count, predictedSpeedUp: $0.candidates[0].prediction.speedUp)
        }
        self.selection = selection.map {
            Selection(
                switchedOff: $0.switchedOff, predictedSpeedUp: $0.predictedSpeedUp, predictedOfAll: $0.predictedOfAll)
        }
        optimality = result.optimality.map {
            Optimality(found: $0.found, bound: $0.bound, valuesPerExit: $0.valuesPerExit)
        }
        path = PolicyCurve(result.candidates, chosen: result.passed.last, tune: tune, test: test)
        otherRules = try Self.otherRules(experiment, exits: exits, outputs: outputs)
        scores = ScoreHistogram.all(result.thresholds, on: test)
        reliability = outputs[.test].confidences.map { confidences in
            confidences.enumerated().map { exit, confidences in
                ReliabilityPoint.all(
                    ReliabilityDiagram(
                        confidences: confidences, isCorrect: outputs[.test].isCorrect(exit: exit)))
            }
        }
        serving = experiment.serving.map { ServingTimes(result, on: .test, serving: $0) }
        warnings = Self.warnings(experiment, result: result, usage: usage)
    }

    /// Curves of the best known rules; the policy's own, with one threshold, is the curve of its candidates already.
    private static func otherRules(
        _ experiment: Experiment, exits: ExitSource, outputs: SplitOutputs
    ) throws(InputError) -> [RuleCurve] {
        let rules: [(name: String, rule: Recipe.RuleChoice)] = [
            ("BEEM-A", .init(weights: .accuracy)), ("BEEM-C", .init(weights: .cost)),
            ("maximum probability", .init(kind: .maxProbability)), ("patience", .init(kind: .patience)),
            ("static", .init(kind: .static)),
        ]
        var curves: [RuleCurve] = []
        for (name, rule) in rules where rule.isPossible(with: exits.measures) {
            let own = experiment.choosing(rule, .single)
            if own.recipe.rule == experiment.recipe.rule, own.recipe.search == experiment.recipe.search { continue }
            let known = rule.confidence == experiment.recipe.rule.confidence || !rule.kind.usesConfidence
            func outputsOf(_ split: Split) throws(InputError) -> ExitOutputs {
                guard !known else { return outputs[split] }
                return try exits.outputs(
                    rows: own.splits[split], measure: rule.confidence, threads: own.threads)
            }
            let tune = try outputsOf(.tune)
            let calibrator = Calibrator(own)
            curves.append(
                RuleCurve(
                    name, tune: calibrator.table(tune, tune: tune),
                    test: calibrator.table(try outputsOf(.test), tune: tune)))
        }
        return curves
    }

    private static func warnings(
        _ experiment: Experiment, result: CalibrationResult, usage: CertifyLog.Usage
    ) -> [String] {
        var warnings = result.warnings(usage, planned: experiment.recipe.guarantee.uses)
        let names = result.namesWherePerExitRuleMisleads(allowedGap: experiment.recipe.guarantee.allowedGap)
        if let warning = PerExitRuleWarning(names) { warnings.append(warning.text) }
        return warnings + experiment.data.warnings
    }
}

extension RunRecord.Walk {
    init(_ result: CalibrationResult) {
        candidates = result.candidateCount
        planned = result.sequenceLength
        // A path has its policies from safe to fast; they are told in the order in which they were tested.
        let places = result.tested.sorted()
        let rates = PathRates(result.candidates.selecting(places), on: result.tables[.tune]!)
        let passed = Set(result.passed)
        let steps = places.indices.map { index in
            Step(
                speedUp: rates.speedUps[index], error: rates.errors[index], passed: passed.contains(places[index]))
        }
        let byPlace = Dictionary(uniqueKeysWithValues: zip(places, steps))
        tested = result.tested.map { byPlace[$0]! }
    }
}
