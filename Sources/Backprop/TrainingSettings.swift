import ExitHeads

/// How exit heads are trained.
public struct TrainingSettings: Equatable, Sendable {
    /// What minimises the objective.
    public enum Optimizer: Equatable, Sendable {
        /// Preconditioned L-BFGS on all of the train split; for linear heads.
        case lbfgs(LBFGSSettings)
        /// Steps on shuffled minibatches.
        case minibatch(MinibatchSettings)
    }

    /// What a head is built of.
    public enum Architecture: Equatable, Sendable {
        /// One linear layer.
        case linear
        /// A hidden layer and a linear one.
        case hidden(HiddenLayerSettings)
    }

    /// What a head is built of.
    public var architecture: Architecture
    /// What is minimised.
    public var loss: TrainingLoss
    /// What minimises it.
    public var optimizer: Optimizer
    /// The L2 penalties to try; the one with the lowest loss on tune is kept, for each exit by itself.
    public var l2: [Double]

    /// Creates settings.
    ///
    /// - Precondition: L-BFGS is for linear heads; heads that are trained with their teacher need minibatches.
    public init(
        architecture: Architecture = .linear, loss: TrainingLoss = TrainingLoss(),
        optimizer: Optimizer = .lbfgs(LBFGSSettings()), l2: [Double]
    ) {
        precondition(!l2.isEmpty && l2.allSatisfy { $0 >= 0 && $0.isFinite }, "L2 penalties are not negative")
        if case .lbfgs = optimizer {
            precondition(architecture == .linear, "L-BFGS minimises convex objectives")
            precondition(loss.teacher?.isTrainedTogether != true, "a teacher that moves needs minibatches")
        }
        self.architecture = architecture
        self.loss = loss
        self.optimizer = optimizer
        self.l2 = l2
    }
}

/// The hidden layer of a head.
public struct HiddenLayerSettings: Equatable, Sendable {
    /// How many hidden units there are.
    public var width: Int
    /// What they do with their sums.
    public var activation: Activation
    /// The probability with which a unit is left out of a step.
    public var dropout: Double
    /// Whether the features of a row are normalised first; they are then not standardised over rows.
    public var hasLayerNorm: Bool

    /// Creates settings.
    public init(width: Int = 128, activation: Activation = .gelu, dropout: Double = 0, hasLayerNorm: Bool = false) {
        precondition(width > 0 && (0..<1).contains(dropout), "units of which some are left")
        self.width = width
        self.activation = activation
        self.dropout = dropout
        self.hasLayerNorm = hasLayerNorm
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
