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
