import Statistics

/// Inverted dropout: in training, each hidden unit of each row is set to 0 with some probability, and multiplied by
/// `1 / (1 - probability)` otherwise, so that its mean stays.
///
/// Which units stay depends on seed, step, row and unit, and on nothing else: not on threads, nor on blocks.
///
/// - Reference: Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
struct Dropout: Equatable, Sendable {
    /// In 0..<1.
    let probability: Double
    let seed: UInt64
    /// The number of the optimiser's step.
    let step: Int

    init(probability: Double, seed: UInt64, step: Int) {
        precondition((0..<1).contains(probability), "dropout leaves something")
        self.probability = probability
        self.seed = seed
        self.step = step
    }

    /// What the units of a row are multiplied by: 0 or `1 / (1 - probability)`.
    ///
    /// - Parameters:
    ///   - row: its number in the batch of the step.
    ///   - count: how many units there are.
    func factors(row: Int, count: Int) -> [Float] {
        var factors = [Float](repeating: 1, count: count)
        var again = factors
        apply(to: &factors, and: &again, row: row, count: count)
        return factors
    }

    /// Multiplies the units of a row and their slopes.
    ///
    /// - Parameters:
    ///   - units: [count]
    ///   - slopes: [count]
    /// - Complexity: O(count).
    func apply(
        to units: UnsafeMutablePointer<Float>, and slopes: UnsafeMutablePointer<Float>, row: Int, count: Int
    ) {
        let own = SplitMix64.hash(seed: SplitMix64.hash(seed: seed, id: UInt64(step)), id: UInt64(row))
        // Unit u has the u-th number of the row's generator, which is a hash of (own, u).
        var generator = SplitMix64(seed: own)
        let dropped = UInt64(probability * 0x1p64)
        let scale = Float(1 / (1 - probability))
        for index in 0..<count {
            let factor = generator.next() < dropped ? 0 : scale
            units[index] *= factor
            slopes[index] *= factor
        }
    }
}
