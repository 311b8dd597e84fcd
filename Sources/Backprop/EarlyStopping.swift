/// Ends training when a value measured on the tune split no longer falls, and keeps the parameters that had the lowest.
///
/// Lower is better; negate what should rise. A value that is not finite is no improvement. The lowest value is that of
/// the best of several looks at the tune split, hence optimistic: report errors on rows that had no part in it.
public struct EarlyStopping<Scalar: TrainableScalar>: Codable, Equatable, Sendable {
    /// A value and where it was measured.
    public struct Best: Codable, Equatable, Sendable {
        /// The lowest value; of equal ones the first.
        public let value: Double
        /// [parameters]: where it was measured.
        public var parameters: [Scalar] { packed.values }
        /// Which observation it was, from 0.
        public let observation: Int

        private let packed: PackedNumbers<Scalar>

        init(value: Double, parameters: [Scalar], observation: Int) {
            self.value = value
            packed = PackedNumbers(parameters)
            self.observation = observation
        }

        private enum CodingKeys: String, CodingKey {
            case value, observation
            case packed = "parameters"
        }
    }

    /// How many observations in a row may pass without improvement; the last of them ends training.
    public let patience: Int
    /// By how much a value must fall below the one that patience counts from to be an improvement.
    public let minimumImprovement: Double
    /// The lowest value so far with its parameters, whether or not it was low enough to reset the patience.
    public private(set) var best: Best?
    /// How many values were observed.
    public private(set) var observations = 0
    /// How many of them came since the last improvement.
    public private(set) var observationsWithoutImprovement = 0
    private var reference: Double?

    /// Creates a rule that has observed nothing.
    public init(patience: Int, minimumImprovement: Double = 0) {
        precondition(patience > 0 && minimumImprovement >= 0, "patience above 0, improvement not below")
        self.patience = patience
        self.minimumImprovement = minimumImprovement
    }

    /// Whether patience has run out.
    public var isFinished: Bool { observationsWithoutImprovement >= patience }

    /// Takes a value on the tune split and the parameters it was measured at.
    ///
    /// - Returns: whether it was an improvement, by which patience starts anew.
    /// - Complexity: O(1); the parameters are copied when the caller next changes them.
    @discardableResult
    public mutating func observe(_ value: Double, parameters: [Scalar]) -> Bool {
        defer { observations += 1 }
        if value.isFinite, value < best?.value ?? .infinity {
            best = Best(value: value, parameters: parameters, observation: observations)
        }
        let isImprovement = value.isFinite && (reference.map { value < $0 - minimumImprovement } ?? true)
        if isImprovement { reference = value }
        observationsWithoutImprovement = isImprovement ? 0 : observationsWithoutImprovement + 1
        return isImprovement
    }
}
