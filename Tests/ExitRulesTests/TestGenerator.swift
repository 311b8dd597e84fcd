import ExitRules

/// A seeded generator for tests of a module that is not allowed to know one: Marsaglia's 64-bit xorshift.
struct TestGenerator: RandomNumberGenerator {
    var state: UInt64

    /// Creates a generator from a seed that is not 0.
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// Outputs of random exits: few classes, so that neighbours often agree; confidences with ties.
    mutating func outputs(exits: Int, samples: Int, classes: Int32 = 3) -> ExitOutputs {
        func labels(using generator: inout Self) -> [Int32] {
            (0..<samples).map { _ in Int32.random(in: 0..<classes, using: &generator) }
        }
        let truth = labels(using: &self)
        let rows = (0..<exits).map { _ in labels(using: &self) }
        let confidences = (0..<exits).map { _ in
            (0..<samples).map { _ in
                Bool.random(using: &self)
                    ? Float(Int.random(in: 0...4, using: &self)) / 4 : Float.random(in: 0...1, using: &self)
            }
        }
        return ExitOutputs(truth: truth, labels: rows, confidences: confidences)
    }
}
