extension LBFGS {
    /// A step that was taken, and how the gradient changed along it.
    ///
    /// In Float32: directions need no more digits, and reading the pairs is what finding one takes.
    struct Pair: Equatable, Sendable {
        /// [parameters]
        var step: [Float]
        /// [parameters]
        var change: [Float]
        /// [parameters]: P⁻¹ times the change.
        var preconditionedChange: [Float]
        /// 1 / (step · change).
        var inverseProduct: Double
    }
}

extension LBFGS.Pair: Codable {
    private enum CodingKeys: String, CodingKey { case step, change, preconditionedChange, inverseProduct }

    /// Reads a pair.
    ///
    /// - Throws: `DecodingError`, also for vectors of different lengths.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func numbers(_ key: CodingKeys) throws -> [Float] {
            try container.decode(PackedNumbers<Float>.self, forKey: key).values
        }
        step = try numbers(.step)
        change = try numbers(.change)
        preconditionedChange = try numbers(.preconditionedChange)
        inverseProduct = try container.decode(Double.self, forKey: .inverseProduct)
        guard change.count == step.count, preconditionedChange.count == step.count else {
            throw DecodingError.dataCorruptedError(
                forKey: .change, in: container,
                debugDescription: "vectors of \(step.count), \(change.count) and \(preconditionedChange.count) numbers")
        }
    }

    /// Writes the pair.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(PackedNumbers(step), forKey: .step)
        try container.encode(PackedNumbers(change), forKey: .change)
        try container.encode(PackedNumbers(preconditionedChange), forKey: .preconditionedChange)
        try container.encode(inverseProduct, forKey: .inverseProduct)
    }
}
