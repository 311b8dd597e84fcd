import ExitRules

/// The samples of one exit by falling score, and the distinct policies a threshold there can make.
///
/// A **cut** k in 0...count releases the samples with the k largest distinct scores: 0 is never, count is everyone.
struct ScoreRanking: Sendable {
    /// The samples, by falling score. A score that is not a number is never released and is left out.
    let order: [Int32]
    /// [cuts]: for cut k, `order[0..<ends[k]]` is released; starts with 0.
    let ends: [Int]
    /// [distinct scores], falling.
    let values: [Double]

    /// Sorts the scores of one exit.
    ///
    /// - Complexity: O(N log N).
    init(scores: [Double]) {
        var order = scores.indices.filter { !scores[$0].isNaN }.map { Int32($0) }
        order.sort { scores[Int($0)] > scores[Int($1)] }
        var ends = [0]
        var values: [Double] = []
        for (position, sample) in order.enumerated() {
            let score = scores[Int(sample)]
            if let last = values.last, last == score {
                ends[ends.count - 1] = position + 1
            } else {
                values.append(score)
                ends.append(position + 1)
            }
        }
        self.order = order
        self.ends = ends
        self.values = values
    }

    /// How many distinct scores there are: the largest cut.
    var count: Int { values.count }

    /// The threshold of a cut.
    func threshold(cut: Int) -> Double? {
        cut == 0 ? nil : thresholdBetween(values[cut - 1], next: cut < count ? values[cut] : nil)
    }

    /// The cut that releases the same samples as a threshold.
    ///
    /// - Complexity: O(log N).
    func cut(threshold: Double?) -> Int {
        guard let threshold else { return 0 }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] >= threshold { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The threshold that releases scores from `score` up and nothing below: midway to the next smaller observed score, and
/// below the smallest score that score minus 1.
///
/// - Parameters:
///   - score: the smallest score to release.
///   - next: the largest score not to release; nil when there is none.
/// - Returns: t with `next < t <= score`; where rounding puts the middle outside of that, `score` itself.
func thresholdBetween(_ score: Double, next: Double?) -> Double {
    guard let next else { return score - 1 }
    let middle = next + (score - next) / 2
    return middle > next && middle <= score ? middle : score
}
