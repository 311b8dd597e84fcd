import ExitRules

/// The scores of the samples that come to an exit, right apart from wrong.
public struct ScoreHistogram: Codable, Equatable, Sendable {
    /// The lower edge of the first bin.
    public var lower: Double
    /// The width of every bin.
    public var binWidth: Double
    /// [bins]: how many of the samples the exit gets right.
    public var right: [Int]
    /// [bins]: how many it gets wrong.
    public var wrong: [Int]
    /// Leave here when the score is at least this; nil: no sample leaves here early.
    public var threshold: Double?

    /// How many bins there are.
    static let bins = 40

    /// [exits - 1]: the histograms of a policy's exits, over the samples that have not left before; all have the same bins,
    /// so that one can be held against the next.
    ///
    /// - Complexity: O(samples * exits).
    static func all(_ thresholds: Thresholds, on table: ScoreTable) -> [ScoreHistogram] {
        let taken = table.exitsTaken(thresholds)
        let arriving = table.scores.indices.map { exit in taken.indices.filter { taken[$0] >= exit } }
        var (least, greatest) = (Double.infinity, -Double.infinity)
        for (exit, samples) in arriving.enumerated() {
            for sample in samples {
                least = min(least, table.scores[exit][sample])
                greatest = max(greatest, table.scores[exit][sample])
            }
        }
        let range = least <= greatest ? least...greatest : 0...1
        return arriving.enumerated().map { exit, samples in
            ScoreHistogram(
                scores: samples.map { table.scores[exit][$0] }, isCorrect: samples.map { table.isCorrect[exit][$0] },
                range: range, threshold: thresholds.values[exit])
        }
    }

    /// Counts scores; a bin holds its lower edge, the last one both.
    ///
    /// - Parameter range: what the bins span; no score lies outside.
    init(scores: [Double], isCorrect: [Bool], range: ClosedRange<Double>, threshold: Double?) {
        self.threshold = threshold
        lower = range.lowerBound
        let width = range.upperBound - range.lowerBound
        binWidth = (width > 0 ? width : 1) / Double(Self.bins)
        right = Array(repeating: 0, count: Self.bins)
        wrong = right
        for (score, correct) in zip(scores, isCorrect) {
            let bin = min(Self.bins - 1, Int((score - lower) / binWidth))
            if correct { right[bin] += 1 } else { wrong[bin] += 1 }
        }
    }
}
