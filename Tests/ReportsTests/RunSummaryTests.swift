import Evaluation
import ExitRules
import FeatureCache
import Statistics
import TestSupport
import Testing
import ThresholdOptimizer

@testable import Calibration
@testable import Reports

@Suite("Where the errors come from")
struct ErrorDecompositionTests {
    private let outcome = Outcome(
        counts: PairedCounts(samples: 400, harmfulFlips: 10, helpfulFlips: 12), released: [250, 0, 150],
        wrong: [20, 0, 33], costs: [1, 2, 3])

    @Test("adds up to the error rate of the whole, exit by exit")
    func sum() {
        let errors = ErrorDecomposition(outcome: outcome)
        let sum = (0..<3).reduce(0) { $0 + errors.contribution(of: $1) }
        #expect(abs(sum - outcome.errorRate) < 1e-15)
        #expect(outcome.errorRate == 53.0 / 400)
    }

    @Test("shows each exit's own error rate with its exact interval, and a dash where nobody leaves")
    func cells() {
        let errors = ErrorDecomposition(outcome: outcome)
        let interval = BinomialInterval(successes: 20, trials: 250)
        #expect(
            errors.cells(of: 0) == [
                "8.00 %", "\(Format.percent(interval.lower)) - \(Format.percent(interval.upper))", "+5.00",
            ])
        #expect(errors.cells(of: 1) == ["-", "", "+0.00"])
        #expect(errors.cells(of: 2)[2] == "+8.25")
    }

    @Test("claims the exact bound on the total, not one put together from the exits")
    func total() {
        let bound = BinomialInterval.upperBound(successes: 53, trials: 400, errorProbability: 0.05)
        let text = ErrorDecomposition(outcome: outcome).total
        #expect(text.contains("13.25 %, at most \(Format.percent(bound)) with 95 % confidence"))
    }

    @Test("is nothing without samples")
    func empty() {
        let empty = Outcome(
            counts: PairedCounts(samples: 0, harmfulFlips: 0, helpfulFlips: 0), released: [0, 0], wrong: [0, 0],
            costs: [1, 2])
        #expect(ErrorDecomposition(outcome: empty).contribution(of: 0) == 0)
        #expect(ErrorDecomposition(outcome: empty).cells(of: 0)[0] == "-")
    }
}

@Suite("The summary of a run")
struct RunSummaryTests {
    /// Of 1000 samples 600 leave at the first of two exits, with `earlyErrors` wrong; the final layer errs on 12 of
    /// those and on 68 of the rest: 8 % in all.
    private func table(earlyErrors: Int) -> ScoreTable {
        ScoreTable(
            scores: [(0..<1000).map { $0 < 600 ? 1 : 0 }],
            isCorrect: [
                (0..<1000).map { $0 >= earlyErrors && $0 < 600 },
                (0..<1000).map { ($0 >= 12 && $0 < 600) || $0 >= 668 },
            ], costs: [1, 2])
    }

    /// A summary whose policy lets those 600 leave early.
    private func summary(
        earlyErrors: Int, allowedGap: Double = 0, alternatives: [(name: String, thresholds: Thresholds)] = [],
        thresholds: Thresholds = Thresholds([0.5])
    ) throws -> RunSummary {
        let folder = try TemporaryFolder()
        var cache = SyntheticCache()
        cache.exits = 2
        cache.samples = 300
        try cache.write(to: folder.file("features.safetensors"))
        var recipe = try Recipe(
            parsing: """
                name: made by hand
                features: features.safetensors
                splits: { train: 0.4, tune: 0.2, certify: 0.2, test: 0.2 }
                output: out
                """, file: folder.file("recipe.yaml"))
        recipe.guarantee.allowedGap = allowedGap
        let table = table(earlyErrors: earlyErrors)
        let result = CalibrationResult(
            weights: [1, 1], rule: BEEMRule(weights: [1, 1]), reference: 1, thresholds: thresholds,
            tunedThresholds: thresholds, tunedAlternatives: alternatives, certificate: nil,
            sequenceLength: 1, candidates: PolicyPath(sharedThresholds: [0.5], exitCount: 2), tested: [0], passed: [],
            partsTooSmall: [], optimality: nil,
            tables: [.train: table, .tune: table, .certify: table, .test: table])
        let outputs = ExitOutputs(truth: [0, 1], labels: [[0, 0], [0, 1]], confidences: [[1, 1], [1, 1]])
        let experiment = try withExtendedLifetime(folder) { try Experiment(recipe) }
        return RunSummary(
            experiment: experiment, evaluation: ExitEvaluation(names: ["a", "b"], outputs: ["tune": outputs]),
            result: result)
    }

    @Test("warns where the per-exit rule holds and the total is worse than allowed all the same")
    func warning() throws {
        // 45 of 600 are 7.5 %, below 8 %; the total is 11.3 %.
        let text = try summary(earlyErrors: 45).text
        #expect(text.contains("Warning: at every exit of \"this policy\""))
        #expect(text.contains("11.30 %"))
    }

    @Test("names all thresholds that the rule misleads about, and none besides")
    func alternatives() throws {
        let text = try summary(
            earlyErrors: 45,
            alternatives: [
                ("all at once", Thresholds([-1])), ("one", Thresholds([0.7])), ("never", Thresholds([nil])),
            ],
            thresholds: Thresholds([nil])
        ).text
        #expect(text.contains("Warning: at every exit of \"one\" the error rate"))
    }

    @Test("does not warn where the gap is allowed, or the rule does not hold, or the policy is no worse")
    func noWarning() throws {
        #expect(!(try summary(earlyErrors: 45, allowedGap: 0.033).text.contains("Warning")))
        #expect(try summary(earlyErrors: 45, allowedGap: 0.032).text.contains("Warning"))
        // 49 of 600 are above 8 %.
        #expect(!(try summary(earlyErrors: 49).text.contains("Warning")))
        #expect(try summary(earlyErrors: 48).text.contains("Warning"))
        #expect(!(try summary(earlyErrors: 12).text.contains("Warning")))
    }

    @Test("says in the end that nothing is certified")
    func verdict() throws {
        let summary = try summary(earlyErrors: 45)
        #expect(summary.verdict.hasPrefix("NOT CERTIFIED"))
        #expect(summary.text.hasSuffix(summary.verdict))
        #expect(!summary.text.contains("Other allowed gaps"))
    }
}
