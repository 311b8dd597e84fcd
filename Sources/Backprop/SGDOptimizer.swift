/// Stochastic gradient descent with momentum, as `torch.optim.SGD` without dampening.
///
/// With `g` the gradient, plus `weightDecay` times the parameter where that decays: `b = momentum b + g`; the parameter
/// moves by `-rate b`, or with Nesterov's look-ahead (Sutskever et al., 2013) by `-rate (g + momentum b)`. The rate is
/// outside the momentum, so a schedule acts on steps taken before as well.
public struct SGDOptimizer<Scalar: TrainableScalar>: GradientOptimizer {
    /// How much of the direction is kept from step to step.
    public let momentum: Double
    /// Whether the gradient is taken ahead.
    public let isNesterov: Bool
    /// The L2 penalty, in the gradient.
    public let weightDecay: Double
    /// Which parameters the penalty is for.
    public let decayed: DecayedParameters
    /// How many steps were taken.
    public private(set) var stepCount: Int
    /// [parameters]: the sum of the gradients so far, older ones less.
    public var velocity: [Scalar] { direction.values }
    private var direction: PackedNumbers<Scalar>

    /// An optimiser that has not moved yet.
    ///
    /// - Parameter decayed: which parameters the penalty is for; all, if left out.
    public init(
        parameterCount: Int, momentum: Double = 0.9, isNesterov: Bool = false, weightDecay: Double = 0,
        decayed: DecayedParameters? = nil
    ) {
        precondition((0..<1).contains(momentum), "momentum is in 0..<1")
        precondition(momentum > 0 || !isNesterov, "looking ahead needs momentum")
        precondition(weightDecay >= 0 && weightDecay.isFinite, "decay is not below 0")
        self.momentum = momentum
        self.isNesterov = isNesterov
        self.weightDecay = weightDecay
        self.decayed = decayed ?? .all(parameterCount)
        precondition(self.decayed.fits(parameterCount), "decay within the \(parameterCount) parameters")
        stepCount = 0
        direction = PackedNumbers(Array(repeating: 0, count: parameterCount))
    }

    /// Reads an optimiser with its state.
    ///
    /// - Throws: `DecodingError`, also for a decay outside the parameters.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        momentum = try container.decode(Double.self, forKey: .momentum)
        isNesterov = try container.decode(Bool.self, forKey: .isNesterov)
        weightDecay = try container.decode(Double.self, forKey: .weightDecay)
        decayed = try container.decode(DecayedParameters.self, forKey: .decayed)
        stepCount = try container.decode(Int.self, forKey: .stepCount)
        direction = try container.decode(PackedNumbers<Scalar>.self, forKey: .direction)
        guard decayed.fits(velocity.count), stepCount >= 0 else {
            throw DecodingError.dataCorruptedError(
                forKey: .direction, in: container,
                debugDescription: "\(velocity.count) parameters, decay of \(decayed.ranges), \(stepCount) steps")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case momentum, isNesterov, weightDecay, decayed, stepCount
        case direction = "velocity"
    }

    /// How many parameters there are.
    public var parameterCount: Int { direction.values.count }

    /// Moves the parameters one step; see ``GradientOptimizer``.
    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    public mutating func update(_ parameters: inout [Scalar], gradient: [Scalar], learningRate: Double) {
        precondition(
            parameters.count == parameterCount && gradient.count == parameterCount, "\(parameterCount) parameters")
        stepCount += 1
        var gradient = gradient
        if weightDecay > 0 {
            let decay = Scalar(weightDecay)
            for range in decayed.ranges {
                for index in range { gradient[index] += decay * parameters[index] }
            }
        }
        let (kept, rate, count) = (Scalar(momentum), Scalar(learningRate), parameterCount)
        let isNesterov = isNesterov
        parameters.withUnsafeMutableBufferPointer { parameters in
            gradient.withUnsafeBufferPointer { gradient in
                self.direction.values.withUnsafeMutableBufferPointer { velocity in
                    for index in 0..<count {
                        velocity[index] = kept * velocity[index] + gradient[index]
                        let direction = isNesterov ? gradient[index] + kept * velocity[index] : velocity[index]
                        parameters[index] -= rate * direction
                    }
                }
            }
        }
    }
}
