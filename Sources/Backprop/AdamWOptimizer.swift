import Foundation

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2, with bias correction), as
/// `torch.optim.AdamW`: the decay is `1 - learningRate * weightDecay` a step.
///
/// With `m = b1 m + (1 - b1) g` and `v = b2 v + (1 - b2) g²`, step t moves a parameter by
/// `-rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + epsilon)`.
public struct AdamWOptimizer<Scalar: TrainableScalar>: GradientOptimizer {
    /// The decay of the gradient's running mean.
    public let beta1: Double
    /// The decay of the running mean of the squared gradient.
    public let beta2: Double
    /// What keeps the division by the root of the second moment finite.
    public let epsilon: Double
    /// How fast weights shrink, as a multiple of the learning rate.
    public let weightDecay: Double
    /// Which parameters shrink.
    public let decayed: DecayedParameters
    /// How many steps were taken.
    public private(set) var stepCount: Int
    /// [parameters]: the running mean of the gradient.
    public var firstMoment: [Scalar] { first.values }
    /// [parameters]: the running mean of the squared gradient.
    public var secondMoment: [Scalar] { second.values }
    private var first: PackedNumbers<Scalar>
    private var second: PackedNumbers<Scalar>

    /// An optimiser that has not moved yet.
    ///
    /// - Parameter decayed: which parameters shrink; all, if left out.
    public init(
        parameterCount: Int, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
        weightDecay: Double = 0, decayed: DecayedParameters? = nil
    ) {
        precondition((0..<1).contains(beta1) && (0..<1).contains(beta2), "decays are in 0..<1")
        precondition(epsilon > 0 && weightDecay >= 0 && weightDecay.isFinite, "epsilon above 0, decay not below")
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.decayed = decayed ?? .all(parameterCount)
        precondition(self.decayed.fits(parameterCount), "decay within the \(parameterCount) parameters")
        stepCount = 0
        first = PackedNumbers(Array(repeating: 0, count: parameterCount))
        second = first
    }

    /// Reads an optimiser with its state.
    ///
    /// - Throws: `DecodingError`, also for moments of different lengths.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        beta1 = try container.decode(Double.self, forKey: .beta1)
        beta2 = try container.decode(Double.self, forKey: .beta2)
        epsilon = try container.decode(Double.self, forKey: .epsilon)
        weightDecay = try container.decode(Double.self, forKey: .weightDecay)
        decayed = try container.decode(DecayedParameters.self, forKey: .decayed)
        stepCount = try container.decode(Int.self, forKey: .stepCount)
        first = try container.decode(PackedNumbers<Scalar>.self, forKey: .first)
        second = try container.decode(PackedNumbers<Scalar>.self, forKey: .second)
        guard firstMoment.count == secondMoment.count, decayed.fits(firstMoment.count), stepCount >= 0 else {
            throw DecodingError.dataCorruptedError(
                forKey: .second, in: container,
                debugDescription: "moments of \(firstMoment.count) and \(secondMoment.count) parameters, decay of "
                    + "\(decayed.ranges), \(stepCount) steps")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case beta1, beta2, epsilon, weightDecay, decayed, stepCount
        case first = "firstMoment"
        case second = "secondMoment"
    }

    /// How many parameters there are.
    public var parameterCount: Int { first.values.count }

    /// Moves the parameters one step; see ``GradientOptimizer``.
    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    public mutating func update(_ parameters: inout [Scalar], gradient: [Scalar], learningRate: Double) {
        precondition(
            parameters.count == parameterCount && gradient.count == parameterCount, "\(parameterCount) parameters")
        stepCount += 1
        if weightDecay > 0 {
            let keep = Scalar(1 - learningRate * weightDecay)
            for range in decayed.ranges {
                for index in range { parameters[index] *= keep }
            }
        }
        let (toFirst, keepSecond, toSecond) = (Scalar(1 - beta1), Scalar(beta2), Scalar(1 - beta2))
        let size = Scalar(learningRate / (1 - pow(beta1, Double(stepCount))))
        let rootScale = Scalar(1 / (1 - pow(beta2, Double(stepCount))).squareRoot())
        let epsilon = Scalar(epsilon)
        let count = parameterCount
        parameters.withUnsafeMutableBufferPointer { parameters in
            gradient.withUnsafeBufferPointer { gradient in
                self.first.values.withUnsafeMutableBufferPointer { first in
                    self.second.values.withUnsafeMutableBufferPointer { second in
                        for index in 0..<count {
                            let slope = gradient[index]
                            first[index] += toFirst * (slope - first[index])
                            second[index] = keepSecond * second[index] + toSecond * (slope * slope)
                            parameters[index] -=
                                size * (first[index] / (second[index].squareRoot() * rootScale + epsilon))
                        }
                    }
                }
            }
        }
    }
}
