extension LBFGS {
    /// What is known of an approximation of the objective, which is evaluated in its place most of the time.
    ///
    /// A linear function is added to it, the one that makes its value and gradient those of the objective at the point where
    /// both were evaluated last: so its minimum comes closer with each correction, by as much as the approximation's Hessian is
    /// like the objective's. That Hessian stays the same, and what L-BFGS remembers of it stays right. (First-order consistency:
    /// Nash, A multigrid approach to discretized optimization problems, 2000; in linear algebra, iterative refinement.)
    struct Approximation: Equatable, Sendable {
        /// What a correction is worth until the next one, of the share of the objective that is still to be gained.
        private static let gain = 1e-3
        /// What it is worth at least, or else the approximation is no good.
        private static let leastGain = 0.1
        /// Below that share its own rounding matters.
        private static let leastDecrease = 1e-9
        /// A good one is checked three times.
        private static let mostChecks = 6

        /// The share of the objective that is still to be gained where the objective itself is evaluated next: at first, as much
        /// as rows rounded to bytes are wrong about, measured.
        private(set) var nextCheck = 1e-4
        /// Whether it is good for no more steps.
        private(set) var isSpent = false
        private var checks = 0
        /// The share that was still to be gained at the last check.
        private var decrease = Double.infinity
        /// What is added to the approximation: the function's value at zero, and
        private var constant = 0.0
        /// its slopes: [parameters]; empty before the first correction.
        private var slopes: [Double] = []

        /// An approximation that nothing is known of.
        init() {}

        /// Whether its correction is one for so many parameters.
        func fits(_ count: Int) -> Bool { slopes.isEmpty || slopes.count == count }

        /// Adds the correction to the approximation's value and gradient.
        func correct(_ value: inout Double, _ gradient: inout [Double], at point: [Double]) {
            guard !slopes.isEmpty else { return }
            value += constant + dot(slopes, point)
            addScaled(1, slopes, to: &gradient)
        }

        /// Makes value and gradient at a point the objective's.
        ///
        /// - Parameters:
        ///   - value: the objective's value, less what the approximation, as corrected so far, says.
        ///   - gradient: the same of its gradient.
        mutating func learn(value: Double, gradient: [Double], at point: [Double]) {
            constant += value - dot(gradient, point)
            if slopes.isEmpty {
                slopes = gradient
            } else {
                addScaled(1, gradient, to: &slopes)
            }
        }

        /// Takes the share of the objective that is still to be gained at a point, by the objective itself.
        mutating func check(_ newDecrease: Double) {
            checks += 1
            isSpent =
                checks >= Self.mostChecks || newDecrease <= Self.leastDecrease
                || newDecrease > Self.leastGain * decrease
            decrease = newDecrease
            nextCheck = max(Self.gain * decrease, Self.leastDecrease)
        }
    }
}

extension LBFGS.Approximation: Codable {
    private enum CodingKeys: String, CodingKey { case numbers, isSpent, checks, slopes }

    /// Reads what is known.
    ///
    /// - Throws: `DecodingError`.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let numbers = try container.decode(PackedNumbers<Double>.self, forKey: .numbers).values
        guard numbers.count == 3 else {
            throw DecodingError.dataCorruptedError(
                forKey: .numbers, in: container, debugDescription: "\(numbers.count) numbers, expected 3")
        }
        (nextCheck, decrease, constant) = (numbers[0], numbers[1], numbers[2])
        isSpent = try container.decode(Bool.self, forKey: .isSpent)
        checks = try container.decode(Int.self, forKey: .checks)
        slopes = try container.decode(PackedNumbers<Double>.self, forKey: .slopes).values
    }

    /// Writes what is known, to the last bit.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(PackedNumbers([nextCheck, decrease, constant]), forKey: .numbers)
        try container.encode(isSpent, forKey: .isSpent)
        try container.encode(checks, forKey: .checks)
        try container.encode(PackedNumbers(slopes), forKey: .slopes)
    }
}
