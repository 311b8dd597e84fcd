import Foundation

/// The values of `Resources/golden.json`; see `Resources/make_golden.py` for how they were made.
struct Golden: Decodable {
    /// [trials, harmful flips, SciPy or null, 60 digits].
    var mcnemar: [[Double?]]
    var binomial: [BinomialCase]
    var beta: [BetaCase]
    /// [trials, successes, confidence, low, high].
    var intervals: [[Double]]
    var normal: NormalCases

    struct BinomialCase: Decodable {
        var trials: Int
        var probability: Double
        var successes: Int
        var mass: [Double?]
        var lower: [Double?]
        var upper: [Double?]

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            trials = try row.decode(Int.self)
            probability = try row.decode(Double.self)
            successes = try row.decode(Int.self)
            mass = try row.decode([Double?].self)
            lower = try row.decode([Double?].self)
            upper = try row.decode([Double?].self)
        }
    }

    struct BetaCase: Decodable {
        var a: Double
        var b: Double
        var x: Double
        var lower: [Double?]
        var upper: [Double?]

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            a = try row.decode(Double.self)
            b = try row.decode(Double.self)
            x = try row.decode(Double.self)
            lower = try row.decode([Double?].self)
            upper = try row.decode([Double?].self)
        }
    }

    struct NormalCases: Decodable {
        /// [z, SciPy or null, 60 digits].
        var cdf: [[Double?]]
        /// [probability, SciPy or null, 60 digits].
        var quantile: [[Double?]]
    }

    static let values: Golden = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Resources/golden.json")
        return try! JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }()
}

/// `|value - expected| / |expected|`; the absolute difference where the expected value is 0.
func relativeError(_ value: Double, _ expected: Double) -> Double {
    value == expected ? 0 : abs(value - expected) / (expected == 0 ? 1 : abs(expected))
}
