/// How exit heads are trained.
public struct TrainingSettings: Equatable, Sendable {
    /// What minimises the objective.
    public enum Optimizer: Equatable, Sendable {
        /// Preconditioned L-BFGS on all of the train split.
        case lbfgs(LBFGSSettings)
        /// AdamW on shuffled minibatches.
        case adamW(AdamWSettings)
    }

    /// What minimises the objective.
    public var optimizer: Optimizer
    /// The L2 penalties to try; the one with the lowest tune cross-entropy is kept, for each exit by itself.
    public var l2: [Double]

    /// Creates settings.
    public init(optimizer: Optimizer = .lbfgs(LBFGSSettings()), l2: [Double]) {
        precondition(!l2.isEmpty && l2.allSatisfy { $0 >= 0 && $0.isFinite }, "L2 penalties are not negative")
        self.optimizer = optimizer
        self.l2 = l2
    }
}

/// When L-BFGS stops.
public struct LBFGSSettings: Equatable, Sendable {
    /// The decrease still to be expected, as a fraction of the objective, at which training ends.
    public var tolerance: Double
    /// The most evaluations of objective and gradient.
    public var maximumEvaluations: Int

    /// Creates settings.
    public init(tolerance: Double = 1e-8, maximumEvaluations: Int = 500) {
        self.tolerance = tolerance
        self.maximumEvaluations = maximumEvaluations
    }
}

/// The step sizes, averages and batches of AdamW.
public struct AdamWSettings: Equatable, Sendable {
    /// The first learning rate; it falls to 0 along half a cosine.
    public var learningRate: Double
    /// The decay of the gradient's running mean.
    public var beta1: Double
    /// The decay of the running mean of the squared gradient.
    public var beta2: Double
    /// What keeps the division by the root of the second moment finite.
    public var epsilon: Double
    /// How often every row is seen.
    public var epochs: Int
    /// How many rows a step sees.
    public var batchSize: Int

    /// Creates settings.
    public init(
        learningRate: Double = 0.01, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
        epochs: Int = 30, batchSize: Int = 256
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.epochs = epochs
        self.batchSize = batchSize
    }
}
