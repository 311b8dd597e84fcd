import Backprop
import Calibration
import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import ThresholdOptimizer

/// What `beem run` tells at the end, as tables and one plain sentence.
public struct RunSummary: Sendable {
    private let experiment: Experiment
    private let evaluation: ExitEvaluation
    private let result: CalibrationResult
    private let tradeOff: TradeOff?
    private let automatic: AutomaticRule?
    private let selection: ExitSelection?

    /// Collects what is told.
    public init(
        experiment: Experiment, evaluation: ExitEvaluation, result: CalibrationResult, tradeOff: TradeOff? = nil,
        automatic: AutomaticRule? = nil, selection: ExitSelection? = nil
    ) {
        self.selection = selection
        self.automatic = automatic
        self.tradeOff = tradeOff
        self.experiment = experiment
        self.evaluation = evaluation
        self.result = result
    }

    /// Everything, in the order a reader needs it.
    public var text: String {
        [
            Self.header(experiment), Self.exits(evaluation), policy, onSplits + serving, comparison, tradeOffTable,
            verdict,
        ]
        .filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// Which data, how many samples in which split.
    public static func header(_ experiment: Experiment) -> String {
        let samples = experiment.samples
        let sizes = Split.allCases.filter { !experiment.splits[$0].isEmpty }.map {
            "\($0) \(Format.count(experiment.splits[$0].count))"
        }
        let answers =
            experiment.recipe.rule.tolerance.map { "numbers, right within \(Format.short($0)) of the target" }
            ?? "\(samples.classes.count) classes (\(samples.classes.joined(separator: ", ")))"
        return """
            \(experiment.recipe.name): \(Format.count(samples.sampleCount)) samples, \(samples.exitCount) exits, \
            \(answers)
            Splits: \(sizes.joined(separator: ", ")); seed \(experiment.recipe.seed)

            """
    }

    /// The error rate of each exit by itself.
    public static func exits(_ evaluation: ExitEvaluation) -> String {
        let splits = Split.allCases.map { "\($0)" }.filter { evaluation.exits[0].splits[$0] != nil }
        var table = TextTable(
            [("exit", .left), ("name", .left)] + splits.map { ("\($0) error", .right) } + [
                ("95 % interval (tune)", .right), ("confidence", .right), ("ECE", .right), ("harmful", .right),
                ("helpful", .right),
            ])
        for exit in evaluation.exits {
            guard let tune = exit.splits["tune"] ?? exit.splits.values.first else { continue }
            table.add(
                ["\(exit.index)", exit.name] + splits.map { Format.percent(exit.splits[$0]?.errorRate ?? .nan) } + [
                    "\(Format.percent(tune.interval[0])) - \(Format.percent(tune.interval[1]))",
                    tune.meanConfidence.map(Format.decimal) ?? "-", tune.ece.map(Format.decimal) ?? "-",
                    "\(tune.harmfulFlips)",
                    "\(tune.helpfulFlips)",
                ])
        }
        return
            "Error rate of each exit by itself; confidence, calibration error and flips against the final layer on tune\n"
            + table.text
    }

    /// Weights, thresholds, and who leaves where.
    private var policy: String {
        let tune = result.outcome(on: .tune)
        let test = result.outcome(on: .test)
        var table = TextTable([
            ("exit", .left), ("cost", .right), ("weight", .right), ("threshold", .right), ("leave (tune)", .right),
            ("leave (test)", .right), ("error of those (test)", .right), ("95 % interval", .right),
            ("adds (points)", .right),
        ])
        let errors = ErrorDecomposition(outcome: test)
        for exit in experiment.costs.cumulative.indices {
            let isFinal = exit == experiment.costs.count - 1
            let threshold = isFinal ? "all leave" : result.thresholds.values[exit].map(Format.decimal) ?? "never"
            let cells = [
                "\(exit)", Format.short(experiment.costs.cumulative[exit]), Format.decimal(result.weights[exit]),
                threshold,
                Format.percent(tune.shares[exit]), Format.percent(test.shares[exit]),
            ]
            table.add(cells + errors.cells(of: exit))
        }
        return "Policy: \(experiment.recipe.rule.title)\(experiment.recipe.search.ending)\n" + picked + chosenExits
            + table.text
            + errors.total
    }

    /// How the rule was picked, where it was.
    private var picked: String {
        guard let automatic else { return "" }
        let best = automatic.candidates[0].prediction.speedUp
        return "Picked among \(automatic.candidates.count) rules by the speed-up predicted to be certified "
            + "(\(Format.speedUp(best)), the largest of many and so a little flattered); certify played no part\n"
    }

    /// Which exits are switched off, where any are.
    private var chosenExits: String {
        guard let selection, !selection.switchedOff.isEmpty else { return "" }
        return SelectionText(
            switchedOff: selection.switchedOff, predicted: selection.predictedSpeedUp,
            predictedOfAll: selection.predictedOfAll
        ).text + "\n"
    }

    /// Error and speed-up against the final layer.
    private var onSplits: String {
        var table = TextTable([
            ("split", .left), ("samples", .right), ("\(referenceName) error", .right), ("policy error", .right),
            ("gap (points)", .right), ("95 % interval", .right), ("harmful", .right), ("helpful", .right),
            ("speed-up", .right),
        ])
        for split in [Split.tune, .certify, .test] {
            let outcome = result.outcome(on: split)
            // Thresholds were chosen on the other splits; only on test does an interval mean what it says.
            let interval = split == .test && experiment.maximumGroupSize == 1 ? RiskGapInterval(outcome.counts) : nil
            table.add([
                "\(split)", Format.count(outcome.sampleCount),
                Format.percent(Double(outcome.referenceErrors) / Double(max(outcome.sampleCount, 1))),
                Format.percent(outcome.errorRate), Format.points(outcome.counts.riskGap),
                interval.map { Format.interval($0.lower, $0.upper) } ?? "", "\(outcome.counts.harmfulFlips)",
                "\(outcome.counts.helpfulFlips)", Format.speedUp(outcome.speedUp),
            ])
        }
        return "The policy against \(isFinalReference ? "the final layer" : referenceName) on the same samples\n"
            + table.text
    }

    /// What batches make of it, where the recipe says how long they take.
    private var serving: String {
        guard let serving = experiment.serving else { return "" }
        let times = ServingTimes(result, on: .test, serving: serving)
        func told(_ time: Double) -> String {
            "\(Format.short(Format.rounded(time))) ms (\(Format.speedUp(times.full / time)))"
        }
        return
            "Test in batches of \(times.batchSize), a sample: final layer \(Format.short(Format.rounded(times.full))) ms; "
            + "survivors regrouped to full batches \(told(times.regrouped)); batches that shrink \(told(times.shrinking))\n"
    }

    /// What was found on tune and not certified, with what it does on fresh samples.
    private var comparison: String {
        let rows = result.tunedAlternatives + [("certified: this policy", result.thresholds)]
        var table = TextTable([
            ("thresholds", .left), ("tune speed-up", .right), ("tune gap", .right), ("test speed-up", .right),
            ("test gap", .right),
        ])
        for (name, thresholds) in rows {
            let tuned = result.outcome(of: thresholds, on: .tune)
            let test = result.outcome(of: thresholds, on: .test)
            table.add([
                name, Format.speedUp(tuned.speedUp), Format.points(tuned.counts.riskGap), Format.speedUp(test.speedUp),
                Format.points(test.counts.riskGap),
            ])
        }
        return
            "Thresholds tuned to equality overfit, free ones most; only the last line is certified (gaps in points)\n"
            + table.text + optimality + perExitRuleWarning
    }

    /// How far the search was from the best.
    private var optimality: String {
        guard let optimality = result.optimality else { return "" }
        let gap = optimality.bound / optimality.found - 1
        return "Thresholds per exit on tune: found \(Format.speedUp(optimality.found)), bound "
            + "\(Format.speedUp(optimality.bound)) (no policy on a grid of \(optimality.valuesPerExit) values per exit is "
            + "faster), gap \(Format.percent(gap))\n"
    }

    /// When the paper's per-exit rule misleads.
    private var perExitRuleWarning: String {
        let names = result.namesWherePerExitRuleMisleads(allowedGap: experiment.recipe.guarantee.allowedGap)
        return PerExitRuleWarning(names).map { "Warning: \($0.text)\n" } ?? ""
    }

    /// What other gaps would give.
    private var tradeOffTable: String {
        guard let tradeOff else { return "" }
        var table = TextTable([
            ("allowed gap (points)", .right), ("predicted speed-up", .right), ("chance of a certificate", .right),
        ])
        for line in tradeOff.lines {
            table.add([
                Format.short(100 * line.allowedGap), Format.speedUp(line.speedUp), Format.percent(line.certified),
            ])
        }
        return "Other allowed gaps, predicted by cross-fitting on tune; certify was not looked at for this\n"
            + table.text
    }

    private var isFinalReference: Bool { result.reference == experiment.costs.count - 1 }

    private var referenceName: String {
        isFinalReference ? "final layer" : experiment.samples.exitNames[result.reference]
    }

    /// The one sentence that counts.
    public var verdict: String {
        guard let certificate = result.certificate else {
            return """
                NOT CERTIFIED: no policy could be shown to be within the allowed gap on this certify split, so the \
                policy never leaves early.

                """
        }
        let speedUp = result.outcome(on: .test).speedUp
        return CertificateText(
            certificate, exits: experiment.samples.exitNames,
            ending: ", at \(Format.speedUp(speedUp)) the speed on test"
        ).text
    }
}
