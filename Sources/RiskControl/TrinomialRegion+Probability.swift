import RealModule
import Statistics

extension TrinomialRegion {
    /// The probability of a region near a point of the line `(P(b), P(c)) = (harmful + s, helpful + s)`, as
    /// `value + slope s + curvature s^2 / 2` and a bound on what that leaves out.
    struct Expansion: Sendable {
        /// The probability at s = 0.
        var value: Double
        /// Its first derivative along the line.
        var slope: Double
        /// Its second derivative along the line.
        var curvature: Double
        /// More than rounding and the lines left out can have changed `value`.
        var rounding: Double
        /// `n (1/P(b) + 1/P(c) + 4/(1 - P(b) - P(c)))`: the Fisher information about s.
        var information: Double

        /// An upper bound on the probability for every s in -radius...radius.
        ///
        /// The probability of an outcome at s is the one at 0 times the product over the samples of `1 + s g`, where g
        /// is 1/P(b), 1/P(c) or -2/(1 - P(b) - P(c)), of mean 0. Expanded, the term of order k is s^k times the k-th
        /// elementary symmetric polynomial of independent g; those are orthogonal, with second moment at most
        /// information^k / k!. By Cauchy and Schwarz, against the centred indicator of the region, the orders from
        /// three on together are at most `sqrt(value (1 - value)) sqrt(y^3/3! + y^4/4! + ...)`, y = information s^2.
        func bound(radius: Double) -> Double {
            let square = information * radius * radius
            guard square < 2 else { return 1 }
            let variance = (value + rounding) * max(0, 1 - value + rounding)
            // From y^3/3! on each term is at most y/4 of the one before.
            let remainder = (variance * square * square * square / 6 / (1 - square / 4)).squareRoot()
            var quadratic = max(0, abs(slope) * radius + curvature * radius * radius / 2)
            if curvature < 0, abs(slope) < -curvature * radius { quadratic = slope * slope / (-2 * curvature) }
            return min(1, value + quadratic + remainder + rounding)
        }
    }

    /// Expands the probability of the region along equal changes of both flip rates.
    ///
    /// By lines: D is binomial, b given D is binomial, and from one line to the next the tail and the probability at
    /// its limit follow by one more trial. The derivatives need only probabilities beside the limits:
    /// `d/ds E[g] = n E[g(b + 1, c) + g(b, c + 1) - 2 g(b, c)]` over n - 1 samples.
    ///
    /// - Parameters:
    ///   - harmfulRate: P(b), positive.
    ///   - helpfulRate: P(c), positive; with P(b) below 1; the region must know the limits of the lines that matter.
    /// - Complexity: O(sqrt(n P(b or c))) lines of about ten operations.
    func expansion(harmfulRate: Double, helpfulRate: Double) -> Expansion {
        let discordance = harmfulRate + helpfulRate
        let concordance = 1 - discordance
        let share = harmfulRate / discordance
        let rest = helpfulRate / discordance
        let odds = harmfulRate / helpfulRate
        let range = Self.lines(samples: samples, discordance: discordance...discordance).clamped(to: lines)
        let growth = discordance / concordance

        var weight = Binomial(trials: samples, probability: discordance).probability(of: range.lowerBound)
        var limit = limits[range.lowerBound - lines.lowerBound]
        let first = Binomial(trials: range.lowerBound, probability: share)
        var tail = first.lowerTail(through: limit)
        var atLimit = first.probability(of: limit)
        var (value, slope, curvature) = (0.0, 0.0, 0.0)

        limits.withUnsafeBufferPointer { limits in
            for line in range {
                let position = line - lines.lowerBound
                let next = limits[position + 1]
                let afterNext = limits[position + 2]
                let (d, k) = (Double(line), Double(limit))
                // P(b = limit + 1), P(b = limit + 2), P(b = limit - 1) on this line.
                let above = limit >= 0 ? atLimit * (d - k) / (k + 1) * odds : .pow(rest, d)
                let below = atLimit * k / ((d - k + 1) * odds)
                let open = (Double(samples) - d) / concordance
                let first: Double
                let second: Double
                switch (next == limit, afterNext == next) {
                case (true, true): (first, second) = (-atLimit, atLimit - below)
                case (true, false): (first, second) = (-atLimit, 3 * atLimit + above)
                case (false, true): (first, second) = (above, -atLimit - 3 * above)
                case (false, false): (first, second) = (above, above * (d - k - 1) / (k + 2) * odds - above)
                }
                value += weight * tail
                slope += weight * open * first
                curvature += weight * open * (open - 1 / concordance) * second

                // One more trial.
                if next == limit {
                    tail -= share * atLimit
                    atLimit = share * below + rest * atLimit
                } else {
                    tail += rest * above
                    atLimit = share * atLimit + rest * above
                }
                limit = next
                if atLimit < 1e-280, limit >= 0 {
                    // Too small to follow by products, and it may come back.
                    atLimit = Binomial(trials: line + 1, probability: share).probability(of: limit)
                }
                weight *= (Double(samples) - d) / (d + 1) * growth
            }
        }
        let information = Double(samples) * (1 / harmfulRate + 1 / helpfulRate + 4 / concordance)
        return Expansion(
            value: min(1, max(0, value)), slope: slope, curvature: curvature,
            rounding: 1e-15 * Double(range.count + 1), information: information)
    }
}
