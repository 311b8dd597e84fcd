/// A kind of number that parameters are kept in.
public typealias TrainableScalar = BinaryFloatingPoint & Codable & Sendable

/// Something that moves a flat vector of parameters along gradients, one minibatch at a time.
///
/// An optimiser is a value: copying it copies all it remembers. Its whole state can be encoded, and one that is decoded
/// goes on exactly where the other stopped, to the last bit, in JSON as in binary formats.
///
/// The order of a step: gradient of the mean loss, ``GradientClipping``, rate from a ``LearningRateSchedule``, `update`.
/// Arithmetic is that of `Scalar`, element by element, so results depend neither on threads nor on how vectors are cut.
public protocol GradientOptimizer<Scalar>: Codable, Equatable, Sendable {
    /// What parameters and state are kept in: `Float`, or `Double`, as in ``LinearParameters``.
    associatedtype Scalar: TrainableScalar

    /// How many parameters there are.
    var parameterCount: Int { get }
    /// How many steps were taken.
    var stepCount: Int { get }

    /// Moves the parameters one step.
    ///
    /// - Parameters:
    ///   - parameters: [parameterCount], changed in place.
    ///   - gradient: [parameterCount], of the loss alone, without the penalty of weight decay.
    ///   - learningRate: the size of this step.
    /// - Complexity: O(parameters).
    mutating func update(_ parameters: inout [Scalar], gradient: [Scalar], learningRate: Double)
}

/// The parameters that weight decay shrinks: weights, usually, and not biases.
///
/// Ranges of the flat vector, in order and apart, so that a step is a few plain loops.
public struct DecayedParameters: Codable, Equatable, Sendable {
    /// The ranges.
    public let ranges: [Range<Int>]

    /// Collects ranges.
    public init(_ ranges: [Range<Int>]) {
        precondition(Self.areApart(ranges), "ranges in order that do not overlap")
        self.ranges = ranges
    }

    /// All of a vector.
    public static func all(_ parameterCount: Int) -> DecayedParameters { DecayedParameters([0..<parameterCount]) }

    /// Reads ranges.
    ///
    /// - Throws: `DecodingError` for ranges that overlap or are out of order.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        ranges = try container.decode([Range<Int>].self)
        guard Self.areApart(ranges) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "ranges that overlap: \(ranges)")
        }
    }

    /// Writes the ranges.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(ranges)
    }

    /// The sum of the squares of the parameters that decay.
    ///
    /// - Parameter parameters: the flat vector.
    /// - Complexity: O(parameters).
    func squaredSum(of parameters: [Double]) -> Double {
        var sum = 0.0
        for range in ranges {
            for index in range { sum += parameters[index] * parameters[index] }
        }
        return sum
    }

    func fits(_ parameterCount: Int) -> Bool { (ranges.last?.upperBound ?? 0) <= parameterCount }

    private static func areApart(_ ranges: [Range<Int>]) -> Bool {
        (ranges.first?.lowerBound ?? 0) >= 0
            && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }
    }
}
