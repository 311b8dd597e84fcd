import Evaluation
import Statistics

/// What a test rejects at one level, on all lines of equal discordance: what exact levels and powers are summed over.
///
/// Needs that on each line a decision that rejects b harmful flips rejects fewer; for the tests here that is a test of
/// its own.
struct RejectionTable {
    let samples: Int
    /// The largest number of harmful flips that is rejected on each line, -1 where none is; [lines].
    let limits: [Int]
    let lines: ClosedRange<Int>

    init(samples: Int, lines: ClosedRange<Int>? = nil, isRejected: (PairedCounts) -> Bool) {
        self.samples = samples
        self.lines = lines ?? 0...samples
        var limit = -1
        var limits: [Int] = []
        for line in self.lines {
            func rejects(_ harmful: Int) -> Bool {
                isRejected(PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: line - harmful))
            }
            // The limit moves little from line to line.
            limit = min(limit, line)
            while limit >= 0, !rejects(limit) { limit -= 1 }
            while limit < line, rejects(limit + 1) { limit += 1 }
            limits.append(limit)
        }
        self.limits = limits
    }

    /// The exact probability of a rejection; lines that are not in the table count as rejected.
    func probability(harmfulRate: Double, helpfulRate: Double) -> Double {
        let discordance = Binomial(trials: samples, probability: harmfulRate + helpfulRate)
        let share = harmfulRate / (harmfulRate + helpfulRate)
        var sum = discordance.lowerTail(through: lines.lowerBound - 1)
        sum += discordance.upperTail(from: lines.upperBound + 1)
        for (line, limit) in zip(lines, limits) where limit >= 0 {
            let weight = discordance.probability(of: line)
            guard weight > 1e-18 else { continue }
            sum += weight * Binomial(trials: line, probability: share).lowerTail(through: limit)
        }
        return sum
    }

    /// The lines within eight standard deviations.
    static func lines(samples: Int, discordance: Double) -> ClosedRange<Int> {
        let mean = Double(samples) * discordance
        let reach = 8 * mean.squareRoot() + 10
        return Int(max(0, mean - reach))...Int(min(Double(samples), mean + reach))
    }
}
