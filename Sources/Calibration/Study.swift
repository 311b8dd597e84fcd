import ExitHeads
import ExitPolicy
import ExitRules
import FeatureCache
import LinearAlgebra
import RiskControl
import Safetensors
import Synchronization
import ThresholdOptimizer

/// Compares ways to come to a policy on many draws of tune, certify and test, with the heads fixed.
///
/// The certify split of the recipe is among what is drawn, so a study is for choosing methods on data whose certificate
/// is not needed, or whose labels are replaced. Nothing of it is a certificate.
public struct Study: Sendable {
    /// What is compared.
    public let methods: [StudyMethod]
    /// How samples are drawn.
    public let draws: StudyDraws
    /// How many draws.
    public let repeats: Int

    private let experiment: Experiment
    private let memory = RejectionMemory()
    /// What all exits say of the samples outside train, by what confidence measures.
    private let pools: [ConfidenceMeasure: ExitOutputs]

    /// What one method came to on one draw.
    public struct Trial: Equatable, Sendable {
        /// Whether it certified anything; true for methods that do not certify.
        public var isCertified: Bool
        /// The speed-up on test.
        public var speedUp: Double
        /// The risk gap on test.
        public var testGap: Double
        /// The gap that the guarantee speaks of, on everything that was drawn from, where that is the truth: with parts
        /// that must all pass, the largest of theirs.
        public var trueGap: Double
    }

    /// Prepares a study.
    ///
    /// - Throws: `InputError` when heads and features do not fit.
    /// - Complexity: one forward pass of the samples outside train.
    public init(
        _ experiment: Experiment, from exits: ExitSource, repeats: Int, source: StudyDraws.Source = .resplit,
        labels: StudyDraws.Labels = .given, methods: [StudyMethod]? = nil
    ) throws(InputError) {
        precondition(repeats > 0, "a study draws at least once")
        self.experiment = experiment
        self.repeats = repeats
        self.methods = methods ?? StudyMethod.all(for: experiment, measures: exits.measures)
        draws = try StudyDraws(experiment, source: source, labels: labels, seed: experiment.recipe.seed)
        // Any sample of the pool may come to certify.
        try experiment.samples.requireGroups(
            of: draws.poolRows, atMost: experiment.maximumGroupSize,
            declaredBy: "the largest that the recipe or its train and tune splits know of")
        var pools: [ConfidenceMeasure: ExitOutputs] = [:]
        let classCount = experiment.samples.classes.count
        let measures = self.methods.reduce(into: Set<ConfidenceMeasure>()) {
            $0.formUnion($1.measures(classCount: classCount, known: exits.measures))
        }
        for measure in measures {
            pools[measure] = try exits.outputs(
                rows: draws.poolRows, measure: measure, threads: experiment.threads)
        }
        self.pools = pools
    }

    /// Runs all methods on all draws.
    ///
    /// - Parameter progress: called when a draw is done, from any thread, with how many are.
    /// - Throws: `InputError` when a draw leaves a split without a class.
    public func run(
        progress: @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) -> StudyResult {
        let done = Atomic(0)
        let results = Parallel.map(repeats, threads: experiment.threads) { number -> Result<[Trial], InputError> in
            let result = Result { () throws(InputError) in try trials(number) }
            progress(done.add(1, ordering: .relaxed).newValue, repeats)
            return result
        }
        var rows: [[Trial]] = []
        for result in results { rows.append(try result.get()) }
        return StudyResult(self, trials: methods.indices.map { method in rows.map { $0[method] } })
    }

    /// [methods]
    private func trials(_ number: Int) throws(InputError) -> [Trial] {
        var drawn: [ConfidenceMeasure: [Split: ExitOutputs]] = [:]
        for (measure, pool) in pools { drawn[measure] = try draws.draw(number, from: pool) }
        var bench = StudyBench(experiment: experiment, memory: memory)
        var trials: [Trial] = []
        for method in methods {
            trials.append(try bench.trial(method, drawn: drawn, pools: pools))
        }
        return trials
    }

    /// Whether a certified policy is one that must not be.
    func isError(_ trial: Trial) -> Bool {
        guard trial.isCertified else { return false }
        // With random labels every policy has gap 0, so at gap 0 all of them stand at the edge of the null.
        if draws.labels == .random { return experiment.recipe.guarantee.allowedGap == 0 }
        return trial.trueGap > experiment.recipe.guarantee.allowedGap
    }

    /// The gap that is certified.
    var allowedGap: Double { experiment.recipe.guarantee.allowedGap }
    /// The level of the certificates.
    var level: Double { experiment.recipe.guarantee.level }
    /// The recipe's name.
    var name: String { experiment.recipe.name }
    /// How many samples are drawn from.
    var poolSize: Int { draws.poolRows.count }
}
