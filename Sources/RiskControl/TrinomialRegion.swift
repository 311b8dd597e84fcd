import Statistics

/// A set of outcomes (b, c) of n samples that keeps, with an outcome, all those with fewer harmful or more helpful
/// flips; on each line of equal discordance `d = b + c` it is `b <= limit(d)`.
///
/// That shape makes its probability fall when P(b) rises and rise when P(c) rises, so over "the gap is at least e and
/// the discordance is t" it is largest at the gap e: the supremum over a null hypothesis lies on its boundary.
struct TrinomialRegion: Sendable {
    /// How many samples.
    let samples: Int
    /// The lines whose limits are known.
    let lines: ClosedRange<Int>
    /// The largest b inside on each of `lines`, then on two lines more; -1 where there is none.
    let limits: [Int]

    /// All outcomes whose score is at most a critical value.
    ///
    /// The walk lets a limit stay or rise by one from a line to the next, which is just the shape above, so rounding in
    /// the score cannot break the shape.
    ///
    /// - Complexity: one score a line, and O(log n).
    init(score: TrinomialScore, atMost critical: Double, lines: ClosedRange<Int>) {
        samples = score.samples
        self.lines = lines
        let isInside = { (harmful: Int, line: Int) in score(harmful: harmful, helpful: line - harmful) <= critical }
        // On a line, more b means fewer c: inside up to the limit.
        var (inside, outside) = (-1, lines.lowerBound + 1)
        while outside - inside > 1 {
            let middle = (inside + outside) / 2
            if isInside(middle, lines.lowerBound) { inside = middle } else { outside = middle }
        }
        var limits = [inside]
        limits.reserveCapacity(lines.count + 2)
        for line in (lines.lowerBound + 1)...(lines.upperBound + 2) {
            // Lines beyond n exist for derivatives only, where their weight is 0.
            if line <= score.samples, isInside(inside + 1, line) { inside += 1 }
            limits.append(inside)
        }
        self.limits = limits
    }

    /// The lines that hold all but 2e-16 of the probability when a sample is discordant with this probability.
    ///
    /// - Reference: Bernstein's inequality, `P(|D - mean| >= t) <= 2 exp(-t^2 / (2 (variance + t / 3)))`.
    static func lines(samples: Int, discordance: ClosedRange<Double>) -> ClosedRange<Int> {
        let exponent = 37.0
        let spread = { (probability: Double) in
            let variance = Double(samples) * probability * (1 - probability)
            return exponent / 3 + (exponent * exponent / 9 + 2 * exponent * variance).squareRoot()
        }
        let low = Double(samples) * discordance.lowerBound - spread(discordance.lowerBound)
        let high = Double(samples) * discordance.upperBound + spread(discordance.upperBound)
        return Int(max(0, low.rounded(.down)))...Int(min(Double(samples), high.rounded(.up)))
    }
}
