extension LBFGS {
    /// What is known of an approximation of the objective, which is evaluated in its place most of the time.
    ///
    /// A linear function is added to it, the one that makes its value and gradient those of the objective at the point where
    /// both were evaluated last: so its minimum comes closer with each correction, by as much as the approximation's Hessian is
    /// like the objective's. That Hessian stays the same, and what L-BFGS remembers of it stays right. (First-order consistency:
    /// Nash, A multigrid approach to discretized optimization problems, 2000; in linear algebra, iterative refinement.)
    struct Approximation: Equatable, Sendable {
        /// The share of the objective that is still to be gained where the objective itself is evaluated next. An uncorrected
        /// approximation in BF16 is about that wrong, measured; from the first correction on, each is worth the three digits
        /// until the next.
        private(set) var nextCheck = 1e-5
        private static let gainOfCheck = 1e-3
        /// Below that share an approximation's own rounding matters.
        private static let leastCheck = 1e-9
        /// A good approximation is checked twice or three times.
        private static let mostChecks = 6

        /// How often it was corrected.
        private(set) var checks = 0
        /// What is added to the approximation: the function's value at zero, and
        private var constant = 0.0
        /// its slopes: [parameters]; empty before the first correction.
        private var slopes: [Double] = []

        /// An approximation that nothing is known of.
        init() {}

        /// Whether its correction is one for so many parameters.
        func fits(_ count: Int) -> Bool { slopes.isEmpty || slopes.count == count }

        /// Whether it is good for any more steps.
        var isSpent: Bool { checks >= Self.mostChecks || nextCheck <= Self.leastCheck }

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
            checks += 1
            constant += value - dot(gradient, point)
            if slopes.isEmpty {
                slopes = gradient
            } else {
                addScaled(1, gradient, to: &slopes)
            }
        }

        /// Says when to check next.
        ///
        /// - Parameter decrease: the share of the objective that is to be gained from the point just checked.
        mutating func scheduleCheck(after decrease: Double) {
            nextCheck = Self.gainOfCheck * decrease
        }
    }
}

extension LBFGS.Approximation: Codable {
    private enum CodingKeys: String, CodingKey { case numbers, checks, slopes }

    /// Reads what is known.
    ///
    /// - Throws: `DecodingError`.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let numbers = try container.decode(PackedNumbers<Double>.self, forKey: .numbers).values
        guard numbers.count == 2 else {
            throw DecodingError.dataCorruptedError(
                forKey: .numbers, in: container, debugDescription: "\(numbers.count) numbers, expected 2")
        }
        (nextCheck, constant) = (numbers[0], numbers[1])
        checks = try container.decode(Int.self, forKey: .checks)
        slopes = try container.decode(PackedNumbers<Double>.self, forKey: .slopes).values
    }

    /// Writes what is known, to the last bit.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(PackedNumbers([nextCheck, constant]), forKey: .numbers)
        try container.encode(checks, forKey: .checks)
        try container.encode(PackedNumbers(slopes), forKey: .slopes)
    }
}
