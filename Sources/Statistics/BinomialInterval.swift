/// The exact (Clopper-Pearson) interval of a probability from a count of successes.
///
/// The probability lies inside with at least the confidence asked for, whatever it is and whatever the number of
/// trials; usually with more, because counts are discrete.
///
/// - Reference: Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
///   binomial".
public struct BinomialInterval: Equatable, Sendable {
    /// The lower end, in 0...1.
    public let lower: Double
    /// The upper end, in 0...1.
    public let upper: Double

    /// The two-sided interval; [0, 1] without trials.
    ///
    /// - Parameters:
    ///   - successes: in 0...trials.
    ///   - trials: not negative.
    ///   - confidence: in (0, 1); each end errs with at most half of what is left.
    /// - Complexity: O(sqrt(trials)).
    public init(successes: Int, trials: Int, confidence: Double = 0.95) {
        precondition(confidence > 0 && confidence < 1, "a confidence lies between 0 and 1")
        let error = (1 - confidence) / 2
        lower = Self.lowerBound(successes: successes, trials: trials, errorProbability: error)
        upper = Self.upperBound(successes: successes, trials: trials, errorProbability: error)
    }

    /// The one-sided lower bound: above the true probability with at most `errorProbability`.
    public static func lowerBound(successes: Int, trials: Int, errorProbability: Double) -> Double {
        check(successes, trials, errorProbability)
        if successes == 0 { return 0 }
        let bound = IncompleteBeta.inverse(
            lowerTail: errorProbability, Double(successes), Double(trials - successes + 1))
        return bound * (1 - outward)
    }

    /// The one-sided upper bound: below the true probability with at most `errorProbability`.
    public static func upperBound(successes: Int, trials: Int, errorProbability: Double) -> Double {
        check(successes, trials, errorProbability)
        if successes == trials { return 1 }
        let bound = IncompleteBeta.inverse(
            upperTail: errorProbability, Double(successes + 1), Double(trials - successes))
        return min(1, bound * (1 + outward))
    }

    /// Ends are moved outward by this much of themselves: more than the arithmetic can err.
    private static let outward = 1e-12

    private static func check(_ successes: Int, _ trials: Int, _ errorProbability: Double) {
        precondition((0...trials).contains(successes), "successes lie in 0...trials")
        precondition(errorProbability > 0 && errorProbability < 1, "a probability of error lies between 0 and 1")
    }
}
