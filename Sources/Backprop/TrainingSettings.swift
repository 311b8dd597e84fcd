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

/// The steps on minibatches.
public struct MinibatchSettings: Equatable, Sendable {
    /// How a gradient becomes a step.
    public enum Method: Equatable, Sendable {
        /// AdamW, with the decays of its two moments; penalties are its decoupled decay.
        case adamW(beta1: Double = 0.9, beta2: Double = 0.999)
        /// Gradient descent with momentum; penalties are in the gradient.
        case sgd(momentum: Double = 0.9, isNesterov: Bool = false)
    }

    /// How a gradient becomes a step.
    public var method: Method
    /// The highest learning rate.
    public var learningRate: Double
    /// How the rate falls after the warm-up.
    public var schedule: LearningRateSchedule.Shape
    /// The share of all steps in which the rate rises.
    public var warmup: Double
    /// The longest gradient, as a Euclidean norm; nil for any.
    public var maximumNorm: Double?
    /// How often every row is seen, at most.
    public var epochs: Int
    /// How many rows a step sees.
    public var batchSize: Int
    /// How many epochs may pass without a lower loss on tune; the head with the lowest is kept. nil: all epochs are
    /// trained, and the last head is kept.
    public var patience: Int?

    /// Creates settings.
    public init(
        method: Method = .adamW(), learningRate: Double = 0.01, schedule: LearningRateSchedule.Shape = .cosine,
        warmup: Double = 0, maximumNorm: Double? = nil, epochs: Int = 30, batchSize: Int = 256, patience: Int? = nil
    ) {
        precondition(learningRate > 0 && (0..<1).contains(warmup), "a rate above 0, and a warm-up that ends")
        precondition(epochs > 0 && batchSize > 0, "epochs of batches of rows")
        self.method = method
        self.learningRate = learningRate
        self.schedule = schedule
        self.warmup = warmup
        self.maximumNorm = maximumNorm
        self.epochs = epochs
        self.batchSize = batchSize
        self.patience = patience
    }

    /// How many steps an epoch over so many rows has.
    func batchCount(rows: Int) -> Int { (rows + batchSize - 1) / batchSize }

    /// The rate of every step.
    func schedule(rows: Int) -> LearningRateSchedule {
        let steps = epochs * batchCount(rows: rows)
        return LearningRateSchedule(
            peak: learningRate, shape: schedule, stepCount: steps, warmupSteps: Int(warmup * Double(steps)))
    }

    /// An optimiser that has not moved yet.
    func optimizer(_ form: HeadForm, l2: Double) -> MinibatchOptimizer {
        switch method {
        case .adamW(let beta1, let beta2):
            .adamW(
                AdamWOptimizer(
                    parameterCount: form.parameterCount, beta1: beta1, beta2: beta2, weightDecay: l2,
                    decayed: form.weights))
        case .sgd(let momentum, let isNesterov):
            .sgd(
                SGDOptimizer(
                    parameterCount: form.parameterCount, momentum: momentum, isNesterov: isNesterov, weightDecay: l2,
                    decayed: form.weights))
        }
    }
}

/// An optimiser of minibatches with its state.
enum MinibatchOptimizer: Codable, Equatable, Sendable {
    case adamW(AdamWOptimizer<Double>)
    case sgd(SGDOptimizer<Double>)

    /// How many steps were taken.
    var stepCount: Int {
        switch self {
        case .adamW(let optimizer): optimizer.stepCount
        case .sgd(let optimizer): optimizer.stepCount
        }
    }

    /// How many parameters there are.
    var parameterCount: Int {
        switch self {
        case .adamW(let optimizer): optimizer.parameterCount
        case .sgd(let optimizer): optimizer.parameterCount
        }
    }

    /// Moves the parameters one step.
    mutating func update(_ parameters: inout [Double], gradient: [Double], learningRate: Double) {
        switch self {
        case .adamW(var optimizer):
            // The state is moved out and back, not copied.
            self = .sgd(SGDOptimizer(parameterCount: 0))
            optimizer.update(&parameters, gradient: gradient, learningRate: learningRate)
            self = .adamW(optimizer)
        case .sgd(var optimizer):
            self = .sgd(SGDOptimizer(parameterCount: 0))
            optimizer.update(&parameters, gradient: gradient, learningRate: learningRate)
            self = .sgd(optimizer)
        }
    }
}
