import Evaluation
import Statistics

extension PairedTest {
    /// The probability that the test rejects at a level, when the flip rates are as assumed: exact, nothing is drawn.
    ///
    /// Summed over all outcomes (b, c). D = b + c is binomial and b given D is binomial; on each line of equal D the
    /// test rejects up to some b, which is found by asking the test. Lines far from the mean are left out and count as
    /// not rejected, and rounding goes the same way, so the result is at most the power and below it by at most
    /// `leftOut + 1e-12`.
    ///
    /// The rates are assumptions. A power of 0.8 says nothing about rates that are less favourable.
    ///
    /// - Parameters:
    ///   - samples: how many, not negative.
    ///   - rates: those of the flips, as they are assumed to be.
    ///   - allowedGap: in [0, 1).
    ///   - level: the level that one candidate is tested at, in (0, 1).
    ///   - leftOut: the probability of the lines that are left out, at least 1e-12. 1e-4 takes half the time.
    /// - Complexity: two decisions of the test on each of O(sqrt(n (P(b) + P(c)))) lines, together O(n (P(b) + P(c))): about
    ///   a tenth of a second for 500 expected flips and one second for 5000.
    public func power(
        samples: Int, rates: FlipRates, allowedGap: Double, level: Double, leftOut: Double = 1e-12
    ) -> Double {
        powerBounds(samples, rates, allowedGap, level, leftOut) { _ in false }.lowerBound
    }

    /// Whether ``power(samples:rates:allowedGap:level:leftOut:)`` reaches a target; the search stops when it knows.
    func hasPower(
        _ target: Double, samples: Int, rates: FlipRates, allowedGap: Double, level: Double
    ) -> Bool {
        powerBounds(samples, rates, allowedGap, level, 1e-12) {
            $0.lowerBound >= target || $0.upperBound < target
        }.lowerBound >= target
    }

    /// Bounds on the power, from the likeliest line outward; closer until `decide`.
    private func powerBounds(
        _ samples: Int, _ rates: FlipRates, _ allowedGap: Double, _ level: Double, _ leftOut: Double,
        decide: (ClosedRange<Double>) -> Bool
    ) -> ClosedRange<Double> {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        precondition(leftOut >= 1e-12, "less than rounding cannot be left out")
        let table = RejectionLimits(samples: samples) {
            isRejected($0, allowedGap: allowedGap, at: level)
        }
        let discordance = Binomial(trials: samples, probability: rates.discordance)
        let middle = Int(Double(samples) * rates.discordance)

        var (power, pending) = (0.0, 1.0)
        // Less more than rounding can add: on each line two probabilities, good to 2e-13 in the tests of `Binomial`.
        let bounds = { min(1, power * (1 - 5e-13))...min(1, power + pending + 1e-9) }
        func add(_ line: Int, limit: Int) {
            let weight = discordance.probability(of: line)
            power += weight * Binomial(trials: line, probability: rates.harmfulShare).lowerTail(through: limit)
            pending = max(0, pending - weight)
        }
        let limit = table.limit(line: middle)
        add(middle, limit: limit)
        var (below, above) = ((line: middle - 1, limit: limit), (line: middle + 1, limit: limit))
        while pending > leftOut, !decide(bounds()), below.line >= 0 || above.line <= samples {
            // The limit rises by one or not at all from a line to the next, nearly always; so these guesses are the
            // limit or one more, and two questions are enough.
            if below.line >= 0 {
                below.limit = table.limit(line: below.line, near: below.limit)
                add(below.line, limit: below.limit)
                below.line -= 1
            }
            if above.line <= samples {
                above.limit = table.limit(line: above.line, near: above.limit + 1)
                add(above.line, limit: above.limit)
                above.line += 1
            }
        }
        return bounds()
    }
}

/// What a test rejects at one level: on the line of D discordant samples, up to `limit` harmful flips.
///
/// Needs that a decision that rejects b harmful flips on a line rejects fewer.
private struct RejectionLimits {
    let samples: Int
    let isRejected: (PairedCounts) -> Bool

    private func isRejected(_ harmful: Int, of line: Int) -> Bool {
        isRejected(PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: line - harmful))
    }

    /// The largest number of harmful flips that is rejected on a line, -1 where none is: by bisection.
    func limit(line: Int) -> Int {
        var (rejected, accepted) = (-1, line + 1)
        while accepted - rejected > 1 {
            let middle = (rejected + accepted) / 2
            if isRejected(middle, of: line) { rejected = middle } else { accepted = middle }
        }
        return rejected
    }

    /// The same, by steps from a guess.
    func limit(line: Int, near guess: Int) -> Int {
        var limit = min(max(guess, 0), line)
        guard isRejected(limit, of: line) else {
            repeat { limit -= 1 } while limit >= 0 && !isRejected(limit, of: line)
            return limit
        }
        while limit < line, isRejected(limit + 1, of: line) { limit += 1 }
        return limit
    }
}

/// A normal approximation of the power: where to look for a number of samples, and what is left when the exact power
/// takes too long. Off by several per cent of the samples when few flips are expected. Not for certificates.
///
/// The score is taken for normal, with the standard deviation that the test will believe in, the most likely one at its
/// gap (the limit of ``TrinomialScore`` at the true rates), while the observed gap has its own.
///
/// - Reference: Nam (1997), "Establishing equivalence of two treatments and sample size requirements in matched-pairs
///   design".
struct NormalPower {
    /// The gap that the test tests.
    let gap: Double
    /// How far the true gap lies below it; 0 where it does not, and no number of samples helps.
    let margin: Double
    /// The standard deviation of one sample's difference that the test believes in, times the quantile of the level.
    private let threshold: Double
    /// The true standard deviation of one sample's difference.
    private let deviation: Double
    /// How much of `c - b` is lost to whole numbers: given D, the largest b with `P(Bin(D, 1/2) <= b) <= level` lies on
    /// average half a flip below where the normal quantile with its half a flip of correction puts it. The trinomial
    /// test, which averages over D, loses next to nothing.
    private let loss: Double

    init(test: PairedTest, rates: FlipRates, allowedGap: Double, level: Double) {
        let spent: Double
        switch test {
        case .exactBinomial: (gap, spent, loss) = (0, 0, 1)
        case .exactTrinomial:
            (gap, spent, loss) = (allowedGap, ExactTrinomialTest(allowedGap: allowedGap).nuisanceError, 0)
        }
        // A gap of 0.03 - 0.02 must not pass for one below 0.01.
        let difference = gap - rates.gap
        margin = difference > 1e-12 ? difference : 0
        let linear = 2 * gap * (1 - rates.harmful) - rates.discordance * (1 - gap)
        let constant = rates.helpful * gap * (1 - gap)
        let helpfulRate = max(0, ((linear * linear + 8 * constant).squareRoot() - linear) / 4)
        threshold = (2 * helpfulRate + gap * (1 - gap)).squareRoot() * -Normal.quantile(max(0, level - spent))
        deviation = max(0, rates.discordance - rates.gap * rates.gap).squareRoot()
    }

    /// The power of a number of samples.
    func power(samples: Int) -> Double {
        guard margin > 0, samples > 0 else { return 0 }
        let root = Double(samples).squareRoot()
        let lead = root * margin - threshold - loss / root
        return deviation > 0 ? Normal.cdf(lead / deviation) : lead >= 0 ? 1 : 0
    }

    /// The number of samples, not rounded, with a power; infinite where none has it.
    func samples(power: Double) -> Double {
        guard margin > 0 else { return .infinity }
        let lead = max(0, threshold + Normal.quantile(power) * deviation)
        let root = (lead + (lead * lead + 4 * margin * loss).squareRoot()) / (2 * margin)
        return root * root
    }
}
