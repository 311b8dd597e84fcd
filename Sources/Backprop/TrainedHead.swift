import ExitHeads

/// A trained head and how training went.
public struct TrainedHead: Equatable, Sendable {
    /// What one L2 penalty led to.
    public struct Candidate: Codable, Equatable, Sendable {
        /// The penalty.
        public var l2: Double
        /// The objective on the train split, penalty included: in nats, or the mean squared error.
        public var objective: Double
        /// The mean loss on the tune split, without penalty: cross-entropy in nats, or the mean squared error.
        public var tuneLoss: Double
        /// The share of wrong labels on the tune split; with numbers, the share that misses by more than the tolerance.
        public var tuneError: Double
        /// How often objective and gradient were evaluated on the whole train split; epochs with minibatches.
        public var evaluations: Int
        /// Whether the optimiser says that it is at the optimum, to its tolerance or to Float32's precision; with
        /// minibatches, whether training ended as it was to.
        public var converged: Bool
    }

    /// The head, for features as they come.
    public var head: ExitHead
    /// All penalties that were tried, in the order given.
    public var candidates: [Candidate]
    /// The index of the penalty that was kept.
    public var chosen: Int
    /// How training went, pass by pass.
    public var curve: [LearningCurvePoint]

    /// What the chosen penalty led to.
    public var choice: Candidate { candidates[chosen] }
}

/// One pass over the train split.
public struct LearningCurvePoint: Codable, Equatable, Sendable {
    /// The penalty.
    public var l2: Double
    /// The number of the pass with this penalty, from 1: an epoch, or an evaluation.
    public var pass: Int
    /// The loss on the train split: with L-BFGS the objective, penalty included, at the point evaluated, or what it is on rounded
    /// features, but not in the last pass; with minibatches the mean over the batches, each before its step, without penalty.
    public var trainLoss: Double
    /// The mean loss on the tune split, where it was measured; see ``TrainedHead/Candidate/tuneLoss``.
    public var tuneLoss: Double?
    /// The error on the tune split, where it was measured; see ``TrainedHead/Candidate/tuneError``.
    public var tuneError: Double?
}
