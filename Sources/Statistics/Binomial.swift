import RealModule

/// The number of successes in independent trials of equal probability.
///
/// Probabilities and both tails are good to 1e-12 relative, far out in the tails too, until they underflow (below
/// 1e-307 digits are lost, below 5e-324 they are 0).
public struct Binomial: Equatable, Sendable {
    /// How many trials.
    public let trials: Int
    /// The probability of success in each.
    public let probability: Double

    /// Creates a distribution.
    public init(trials: Int, probability: Double) {
        precondition(trials >= 0, "the number of trials is not negative")
        precondition((0...1).contains(probability), "a probability lies in 0...1")
        self.trials = trials
        self.probability = probability
    }

    /// `ln P(X = successes)`; minus infinity when that is impossible.
    ///
    /// - Reference: Loader (2000), "Fast and accurate computation of binomial probabilities".
    /// - Complexity: O(1).
    public func logProbability(of successes: Int) -> Double {
        guard (0...trials).contains(successes) else { return -.infinity }
        return logPair(of: successes)?.head ?? (successes == certainOutcome ? 0 : -.infinity)
    }

    /// `P(X = successes)`; 0 when that is impossible.
    ///
    /// - Complexity: O(1).
    public func probability(of successes: Int) -> Double {
        guard (0...trials).contains(successes) else { return 0 }
        return logPair(of: successes).map(SaddlePoint.exp) ?? (successes == certainOutcome ? 1 : 0)
    }

    /// `P(X <= successes)`.
    ///
    /// - Complexity: O(min(successes, sqrt(trials))), for the sum stops when what is left cannot change it.
    public func lowerTail(through successes: Int) -> Double {
        if successes < 0 { return 0 }
        if successes >= trials { return 1 }
        // The smaller tail is summed and the larger one is its complement, so neither loses digits.
        return Double(successes) <= mean ? sumDown(from: successes) : 1 - sumUp(from: successes + 1)
    }

    /// `P(X >= successes)`.
    ///
    /// - Complexity: O(min(trials - successes, sqrt(trials))).
    public func upperTail(from successes: Int) -> Double {
        if successes <= 0 { return 1 }
        if successes > trials { return 0 }
        return Double(successes) >= mean ? sumUp(from: successes) : 1 - sumDown(from: successes - 1)
    }

    private var mean: Double { Double(trials) * probability }

    /// 1 - probability, with the digits that a Double has no room for.
    private var failure: DoubleDouble { DoubleDouble(sum: 1, -probability) }

    /// The only outcome there is when nothing is random; nil otherwise.
    private var certainOutcome: Int? {
        if trials == 0 || probability == 0 { return 0 }
        return probability == 1 ? trials : nil
    }

    /// The log-probability of an outcome in 0...trials as a pair; nil when nothing is random.
    private func logPair(of successes: Int) -> DoubleDouble? {
        guard certainOutcome == nil else { return nil }
        let count = DoubleDouble(Double(trials))
        if successes == 0 { return count * .log(failure) }
        if successes == trials { return count * .log(DoubleDouble(probability)) }
        return SaddlePoint.logDensity(
            Double(successes), Double(trials - successes), p: DoubleDouble(probability), q: failure)
    }

    /// The sum from an outcome at or below the mean down to 0: the terms fall.
    private func sumDown(from successes: Int) -> Double {
        let first = probability(of: successes)
        let odds = failure.head / probability
        return first
            * Self.series { step in
                let outcome = successes - step
                return outcome < 0 ? 0 : Double(outcome + 1) / Double(trials - outcome) * odds
            }
    }

    /// The sum from an outcome at or above the mean up to `trials`: the terms fall.
    private func sumUp(from successes: Int) -> Double {
        let first = probability(of: successes)
        let odds = probability / failure.head
        return first
            * Self.series { step in
                let outcome = successes + step
                return outcome > trials ? 0 : Double(trials - outcome + 1) / Double(outcome) * odds
            }
    }

    /// `1 + r(1) + r(1) r(2) + ...` for ratios that fall, until the rest is below 2^-60 of the sum.
    private static func series(ratio: (_ step: Int) -> Double) -> Double {
        var sum = 1.0
        var term = 1.0
        var step = 1
        while true {
            let factor = ratio(step)
            term *= factor
            sum += term
            // A geometric series bounds what is left. At the mean itself the first factor can round to 1 or more.
            if factor < 1, term * factor <= sum * 0x1p-60 * (1 - factor) { return sum }
            step += 1
        }
    }
}
