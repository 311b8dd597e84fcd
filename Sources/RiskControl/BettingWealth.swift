import RealModule

/// The wealth of a bettor who bets that a mean is small, against bounded observations one after another.
///
/// Observations lie in [0, 1]. After each, the wealth is multiplied by `1 - bet (x - mean)`, with a bet fixed before x
/// is seen. If the mean of each x given the past is at least `mean`, the wealth is a nonnegative supermartingale, so it
/// ever reaches 1 / delta with probability at most delta (Ville's inequality): 1 / (running maximum) is a p-value.
///
/// A bet is at most `largestShare / (1 - mean)`: the worst observation, 1, then leaves `1 - largestShare` of the
/// wealth.
///
/// - Reference: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting": the side of
///   the hedged capital process that bets on a small mean, with their estimate of the variance.
struct BettingWealth: Sendable {
    /// The mean under the null, in [0, 1).
    let mean: Double
    /// At most this share of the wealth can be lost on one observation, in (0, 1).
    let largestShare: Double
    /// How bets are sized.
    let strategy: BettingStrategy
    /// `ln(1 / level)`.
    let target: Double
    /// How many observations are expected; the guarantee does not depend on it.
    let samples: Double

    /// The logarithm of the wealth.
    private(set) var logarithm = 0.0
    /// The largest it has been; 0 at the start.
    private(set) var largestLogarithm = 0.0

    private var count = 0.0
    private var sum = 0.0
    private var squares = 0.0

    /// Starts with a wealth of 1.
    ///
    /// - Parameter level: the level the bets aim at; any other level may be tested with them.
    init(mean: Double, largestShare: Double, strategy: BettingStrategy, level: Double, samples: Int) {
        self.mean = mean
        self.largestShare = largestShare
        self.strategy = strategy
        target = -.log(level)
        self.samples = Double(max(1, samples))
    }

    /// The bet on the next observation, from those before.
    var bet: Double {
        let variance = (0.25 + squares) / (count + 1)
        let isOnTheWay = strategy == .retargeted && logarithm < target && count < samples
        let growth = isOnTheWay ? (target - logarithm) / (samples - count) : target / samples
        // A bet of sqrt(2 growth / variance) gains about `growth` an observation if the mean is right for it.
        return min(largestShare / (1 - mean), (2 * growth / variance).squareRoot())
    }

    /// Takes the next observation, in [0, 1].
    mutating func observe(_ value: Double) {
        logarithm += .log(onePlus: -bet * (value - mean))
        largestLogarithm = max(largestLogarithm, logarithm)
        count += 1
        sum += value
        let deviation = value - (0.5 + sum) / (count + 1)
        squares += deviation * deviation
    }

    /// 1 / (running maximum), rounded up.
    var pValue: Double {
        // The sum of n logarithms errs by less than 1e-15 n of what wealth was moved.
        min(1, .exp(-largestLogarithm) * (1 + 1e-9))
    }
}
