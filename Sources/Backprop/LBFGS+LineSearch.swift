extension LBFGS {
    /// The numbers of a search.
    struct LineSearch: Equatable {
        /// The objective where the search starts; infinite before the first evaluation.
        var value = Double.infinity
        /// The slope there along the direction.
        var slope = 0.0
        /// The step that is being tried.
        var step = 1.0
        /// The longest step known to be too short.
        var lowerStep = 0.0
        /// The shortest step known to be too long.
        var upperStep = Double.infinity
        /// What the preconditioner is scaled by: the curvature along the last step, as P sees it, over the real one.
        var gamma = 1.0
        /// The smallest decrease, as slopes predict it, at the start of a search so far.
        var smallestDecrease = Double.infinity
    }
}

extension LBFGS.LineSearch: Codable {
    /// Reads the numbers in the order in which ``encode(to:)`` writes them.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let numbers = try container.decode(PackedNumbers<Double>.self).values
        guard numbers.count == 7 else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(numbers.count) numbers of a line search, expected 7")
        }
        (value, slope, step, lowerStep) = (numbers[0], numbers[1], numbers[2], numbers[3])
        (upperStep, gamma, smallestDecrease) = (numbers[4], numbers[5], numbers[6])
    }

    /// Packed, since some are infinite, which JSON has no word for.
    func encode(to encoder: any Encoder) throws {
        try PackedNumbers([value, slope, step, lowerStep, upperStep, gamma, smallestDecrease]).encode(to: encoder)
    }
}
