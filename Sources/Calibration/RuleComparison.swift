import Evaluation
import ExitRules
import FeatureCache
import LinearAlgebra
import Safetensors
import Synchronization
import ThresholdOptimizer

/// Every rule with one threshold, along a curve and with one per exit: what it does when tuned, and what is predicted to be certified.
///
/// Everything is cross-fitted on tune, so certify is not looked at, and one may choose by it. The best of many predictions
/// flatters.
public struct RuleComparison: Sendable {
    /// One rule with one family of thresholds.
    public struct Row: Encodable, Equatable, Sendable {
        /// The rule in words.
        public var name: String
        /// The family of thresholds: single, curve or per exit.
        public var thresholds: String
        /// Tuned to the allowed gap: the error rate on samples that played no part.
        public var tunedError: Double
        /// The risk gap there.
        public var tunedGap: Double
        /// The speed-up there.
        public var tunedSpeedUp: Double
        /// [exits]: the share of samples that leaves at each exit there.
        public var tunedShares: [Double]
        /// The speed-up predicted to be certified.
        public var certifiedSpeedUp: Double
        /// The predicted probability of a certificate.
        public var certified: Double
    }

    /// What a row is about.
    public struct Subject: Equatable, Sendable {
        /// The rule.
        public let rule: Recipe.RuleChoice
        /// How thresholds are searched.
        public let search: Recipe.SearchChoice
    }

    /// The rows, the highest predicted speed-up first.
    public let rows: [Row]
    /// [rows]: their rules and searches.
    public let subjects: [Subject]

    /// The rules that are compared, with three families of thresholds each.
    ///
    /// - Parameter classCount: with two classes the measures of confidence order samples alike.
    static func subjects(classCount: Int) -> [Subject] {
        var rules: [Recipe.RuleChoice] = [
            .init(weights: .accuracy), .init(weights: .cost), .init(weights: .logOdds), .init(weights: .uniform),
            .init(weights: .authorsCode, restart: .zero),
        ]
        for memory in [0.5, 0.3, 0.1, 0] {
            rules.append(.init(weights: .accuracy, memory: memory))
            if classCount > 2 { rules.append(.init(weights: .accuracy, memory: memory, confidence: .margin)) }
        }
        rules += [
            .init(kind: .maxProbability), .init(kind: .margin, confidence: .margin),
            .init(kind: .entropy, confidence: .entropy), .init(kind: .patience), .init(kind: .static),
        ]
        return rules.flatMap { rule in
            // Thresholds per exit of a score that is the exit's number are those of one exit.
            let searches: [Recipe.SearchChoice] =
                rule.kind == .static
                ? [.single] : [.single, .curve(nil), .perExitCoordinate(starts: 2, moves: .single)]
            return searches.map { Subject(rule: rule, search: $0) }
        }
    }

    /// The rules that are compared on an experiment, in no particular order.
    public static func subjects(of experiment: Experiment, exits: ExitSource) -> [Subject] {
        subjects(classCount: experiment.samples.classes.count).filter { $0.rule.isPossible(with: exits.measures) }
    }

    /// Compares.
    ///
    /// - Parameters:
    ///   - experiment: the recipe with its data.
    ///   - exits: what says something of the samples.
    ///   - progress: called when a row is done, from any thread, with how many are.
    /// - Throws: `InputError` when heads and features do not fit.
    /// - Complexity: ten searches for each row, on as many threads as the experiment has.
    public init(
        _ experiment: Experiment, exits: ExitSource,
        progress: @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) {
        let subjects = Self.subjects(of: experiment, exits: exits)
        var tune: [ConfidenceMeasure: ExitOutputs] = [:]
        for measure in Set(subjects.map(\.rule.confidence)) {
            tune[measure] = try exits.outputs(
                rows: experiment.splits.tune, measure: measure, threads: experiment.threads)
        }
        let outputs = tune
        let done = Atomic(0)
        let found = Parallel.map(subjects.count, threads: experiment.threads) { index -> Result<Row, InputError> in
            let subject = subjects[index]
            let row = Result { () throws(InputError) in
                try Self.row(subject, experiment, tune: outputs[subject.rule.confidence]!)
            }
            progress(done.add(1, ordering: .relaxed).newValue, subjects.count)
            return row
        }
        var rows: [(row: Row, subject: Subject)] = []
        for (subject, result) in zip(subjects, found) {
            rows.append((try result.get(), subject))
        }
        // Of equals the first stays first.
        let sorted = rows.enumerated().sorted { first, second in
            let (own, other) = (first.element.row.certifiedSpeedUp, second.element.row.certifiedSpeedUp)
            return own != other ? own > other : first.offset < second.offset
        }.map(\.element)
        self.rows = sorted.map(\.row)
        self.subjects = sorted.map(\.subject)
    }

    private static func row(
        _ subject: Subject, _ experiment: Experiment, tune: ExitOutputs
    ) throws(InputError) -> Row {
        var calibrator = Calibrator(experiment)
        calibrator.recipe.rule = subject.rule
        calibrator.recipe.search = subject.search
        let certifier = calibrator.certifier(tune: tune)
        let rule = calibrator.exitRule(weights: calibrator.weights(tune: tune))
        let exits = experiment.costs.count
        var (released, wrong) = (Array(repeating: 0, count: exits), Array(repeating: 0, count: exits))
        var counts = PairedCounts(samples: 0, harmfulFlips: 0, helpfulFlips: 0)
        for (rest, held) in CrossFit.divide(tune, seed: experiment.recipe.seed) {
            let thresholds = try CandidateSet.search(
                certifier.view(rest, rule: rule).whole.table, recipe: calibrator.recipe
            ).tuned
            let outcome = evaluate(
                thresholds,
                on: ScoreTable(
                    outputs: held, rule: rule, costs: experiment.costs.cumulative,
                    reference: certifier.reference))
            for exit in 0..<exits {
                released[exit] += outcome.released[exit]
                wrong[exit] += outcome.wrong[exit]
            }
            counts = counts + outcome.counts
        }
        let tuned = Outcome(
            counts: counts, released: released, wrong: wrong, costs: experiment.costs.cumulative,
            fullCost: experiment.costs.full)
        let prediction = try calibrator.prediction(tune: tune, certifySamples: experiment.splits.certify.count)
        return Row(
            name: subject.rule.title, thresholds: subject.search.title, tunedError: tuned.errorRate,
            tunedGap: tuned.counts.riskGap, tunedSpeedUp: tuned.speedUp, tunedShares: tuned.shares,
            certifiedSpeedUp: prediction.speedUp, certified: prediction.certified)
    }
}
