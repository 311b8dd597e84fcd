import ExitHeads
import LinearAlgebra
import Statistics

/// Feature rows with their labels: one split, as the trainer sees it.
public struct LabelledRows: Sendable {
    /// The features.
    public let features: any FeatureRows
    /// [rows], in 0..<classes.
    public let labels: [Int32]

    /// Pairs features with labels.
    public init(features: any FeatureRows, labels: [Int32]) {
        precondition(features.rowCount == labels.count, "a label for each row")
        self.features = features
        self.labels = labels
    }
}

/// A trained head and how training went.
public struct TrainedHead: Equatable, Sendable {
    /// What one L2 penalty led to.
    public struct Candidate: Equatable, Sendable {
        /// The penalty.
        public var l2: Double
        /// The objective on the train split, penalty included, in nats.
        public var objective: Double
        /// The mean cross-entropy on the tune split, in nats.
        public var tuneCrossEntropy: Double
        /// How often objective and gradient were evaluated on the whole train split.
        public var evaluations: Int
        /// Whether the optimiser says that it is at the optimum, to its tolerance or to Float32's precision.
        public var converged: Bool
    }

    /// The head, for features as they come.
    public var head: LinearHead
    /// All penalties that were tried, in the order given.
    public var candidates: [Candidate]
    /// The index of the penalty that was kept.
    public var chosen: Int

    /// What the chosen penalty led to.
    public var choice: Candidate { candidates[chosen] }
}

/// Trains the linear head of one exit.
public struct LinearHeadTrainer: Sendable {
    /// How heads are trained.
    public var settings: TrainingSettings
    /// How many threads a pass over the rows may use; results do not depend on it.
    public var threads: Int
    /// What minibatches are shuffled by.
    public var seed: UInt64
    /// The most bytes that may be spent on keeping standardised rows between passes; results do not depend on it.
    public var memoryBudget: Int

    /// Creates a trainer.
    public init(
        settings: TrainingSettings, threads: Int = Parallel.availableThreads, seed: UInt64 = 0,
        memoryBudget: Int = 24 << 20
    ) {
        self.settings = settings
        self.memoryBudget = memoryBudget
        self.threads = threads
        self.seed = seed
    }

    /// Trains a head for each L2 penalty, and keeps the one with the lowest cross-entropy on the tune split.
    ///
    /// - Parameters:
    ///   - train: what is learnt from; every class occurs.
    ///   - tune: what the penalty is chosen by.
    ///   - classCount: how many classes there are.
    ///   - initial: a head to start from, on features as they come; zero otherwise.
    /// - Complexity: O(penalties * (evaluations * rows * width * classes + rows * width² + width³)).
    public func train(_ train: LabelledRows, tune: LabelledRows, classCount: Int, initial: LinearHead? = nil)
        -> TrainedHead
    {
        let standardization = Standardization(of: train.features, threads: threads)
        let objective = LinearHeadObjective(
            features: train.features, labels: train.labels, classCount: classCount, standardization: standardization,
            threads: threads, memoryBudget: memoryBudget)
        let start =
            initial.map { LinearParameters($0, standardization: standardization) }
            ?? LinearParameters(classCount: classCount, width: train.features.width)
        let solutions: [Solution]
        switch settings.optimizer {
        case .lbfgs(let lbfgs): solutions = minimize(objective, from: start, lbfgs)
        case .adamW(let adamW): solutions = minimize(objective, from: start, adamW)
        }
        let tuneObjective = LinearHeadObjective(
            features: tune.features, labels: tune.labels, classCount: classCount, standardization: standardization,
            threads: threads)
        let crossEntropies = tuneObjective.crossEntropy(solutions.map(\.parameters))
        let candidates = zip(solutions, crossEntropies).map { solution, crossEntropy in
            TrainedHead.Candidate(
                l2: solution.l2, objective: solution.objective, tuneCrossEntropy: crossEntropy,
                evaluations: solution.evaluations, converged: solution.converged)
        }
        var chosen = 0
        for index in candidates.indices
        where candidates[index].tuneCrossEntropy < candidates[chosen].tuneCrossEntropy { chosen = index }
        return TrainedHead(
            head: solutions[chosen].parameters.head(standardization: standardization), candidates: candidates,
            chosen: chosen)
    }

    /// The objective of a saved head, in nats: mean cross-entropy plus the penalty on the weights of standardised features.
    ///
    /// - Complexity: O(rows * width * classes).
    public func objective(of head: LinearHead, on rows: LabelledRows, l2: Double) -> Double {
        let standardization = Standardization(of: rows.features, threads: threads)
        let parameters = LinearParameters(head, standardization: standardization)
        let objective = LinearHeadObjective(
            features: rows.features, labels: rows.labels, classCount: head.classCount,
            standardization: standardization, threads: threads)
        return objective.crossEntropy([parameters])[0] + l2 / 2 * parameters.squaredWeights
    }

    private struct Solution {
        var parameters: LinearParameters
        var l2: Double
        var objective: Double
        var evaluations: Int
        var converged: Bool
    }

    /// Full-batch L-BFGS, from the strongest penalty to the weakest, each starting where the one before ended: weights
    /// grow along the way, and the curvature there makes a far better preconditioner than at zero.
    private func minimize(
        _ objective: LinearHeadObjective, from start: LinearParameters, _ lbfgs: LBFGSSettings
    ) -> [Solution] {
        var solutions = [Solution?](repeating: nil, count: settings.l2.count)
        var parameters = start
        for index in settings.l2.indices.sorted(by: { settings.l2[$0] > settings.l2[$1] }) {
            let solution = minimize(objective, from: parameters, l2: settings.l2[index], lbfgs)
            parameters = solution.parameters
            solutions[index] = solution
        }
        return solutions.map { $0! }
    }

    private func minimize(
        _ objective: LinearHeadObjective, from start: LinearParameters, l2: Double, _ lbfgs: LBFGSSettings
    ) -> Solution {
        var point = LinearHeadObjective.Point(parameters: start, l2: l2)
        let preconditioner = HeadPreconditioner(of: objective, at: point)
        var optimizer = LBFGS(
            start: start.values, tolerance: lbfgs.tolerance, maximumEvaluations: lbfgs.maximumEvaluations)
        while !optimizer.isFinished {
            point.parameters.values = optimizer.point
            let value = objective.evaluate([point])[0]
            optimizer.observe(value: value.value, gradient: value.gradient, precondition: preconditioner.apply)
        }
        point.parameters.values = optimizer.point
        return Solution(
            parameters: point.parameters, l2: l2, objective: optimizer.value, evaluations: optimizer.evaluations,
            converged: optimizer.ending != .evaluations)
    }

    /// AdamW on shuffled minibatches, for all penalties in step.
    private func minimize(
        _ objective: LinearHeadObjective, from start: LinearParameters, _ adamW: AdamWSettings
    ) -> [Solution] {
        let rowCount = objective.labels.count
        let batches = (rowCount + adamW.batchSize - 1) / adamW.batchSize
        var heads = settings.l2.map { _ in start }
        let schedule = LearningRateSchedule(
            peak: adamW.learningRate, shape: .cosine, stepCount: max(adamW.epochs * batches, 1))
        var optimizers = settings.l2.map { l2 in
            AdamWOptimizer<Double>(
                parameterCount: start.values.count, beta1: adamW.beta1, beta2: adamW.beta2, epsilon: adamW.epsilon,
                weightDecay: l2, decayed: start.weights)
        }
        var generator = SplitMix64(seed: seed)
        var order = Array(0..<rowCount)
        for _ in 0..<adamW.epochs {
            order.shuffle(using: &generator)
            for batch in 0..<batches {
                let rows = Array(order[(batch * adamW.batchSize)..<min((batch + 1) * adamW.batchSize, rowCount)])
                let part = LinearHeadObjective(
                    features: SelectedRows(base: objective.features, rows: rows),
                    labels: rows.map { objective.labels[$0] }, classCount: objective.classCount,
                    standardization: objective.standardization, threads: threads)
                // The penalty is the optimiser's decoupled decay, so it is no part of the gradient.
                let values = part.evaluate(heads.map { LinearHeadObjective.Point(parameters: $0, l2: 0) })
                for index in heads.indices {
                    let rate = schedule.rate(atStep: optimizers[index].stepCount)
                    optimizers[index].update(
                        &heads[index].values, gradient: values[index].gradient, learningRate: rate)
                }
            }
        }
        let finals = objective.evaluate(
            heads.indices.map { LinearHeadObjective.Point(parameters: heads[$0], l2: settings.l2[$0]) })
        return heads.indices.map { index in
            Solution(
                parameters: heads[index], l2: settings.l2[index], objective: finals[index].value,
                evaluations: adamW.epochs, converged: true)
        }
    }
}

/// Some rows of others, in any order: a minibatch.
struct SelectedRows: FeatureRows {
    let base: any FeatureRows
    let rows: [Int]

    var rowCount: Int { rows.count }
    var width: Int { base.width }

    func copy(_ range: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        for index in range {
            base.copy(rows[index]..<(rows[index] + 1), into: block + (index - range.lowerBound) * width)
        }
    }
}
