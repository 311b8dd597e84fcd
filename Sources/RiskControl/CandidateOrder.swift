import Evaluation

/// How the tune split orders the candidates that the certify split will test.
///
/// Each order runs along the frontier of evidence and cost, from the candidate the tune split is surest of to the
/// fastest one that is worth a test: a candidate that costs no less than one with more evidence can only lose.
public enum CandidateOrder: String, Codable, CaseIterable, Sendable {
    /// Evidence is a small exact p-value on tune; equal p-values by z.
    case tunePValue = "tune-p"
    /// Evidence is a large paired z-statistic on tune.
    case tuneZ = "tune-z"

    /// The order of candidates with these counts on the tune split.
    ///
    /// - Parameters:
    ///   - counts: [candidates]: paired counts on the tune split, never the certify split.
    ///   - costs: [candidates]: mean cost on the tune split, or anything that rises with it.
    ///   - allowedGap: in [0, 1): what evidence is about. Above 0 evidence is the score against that gap, in either order:
    ///     it orders candidates as p-values do, and costs next to nothing.
    /// - Returns: indices of candidates, each at most once.
    /// - Complexity: O(K log K) and K p-values.
    public func candidates(counts: [PairedCounts], costs: [Double], allowedGap: Double = 0) -> [Int] {
        guard allowedGap == 0 else {
            let scores = counts.map {
                TrinomialScore(samples: $0.samples, gap: allowedGap)(
                    harmful: $0.harmfulFlips, helpful: $0.helpfulFlips)
            }
            return Self.frontier(pValues: scores, costs: costs)
        }
        let zStatistics = counts.map(pairedZ)
        switch self {
        case .tunePValue:
            return Self.frontier(pValues: counts.map(exactBinomialPValue), zStatistics: zStatistics, costs: costs)
        case .tuneZ:
            return Self.frontier(pValues: zStatistics.map { -$0 }, costs: costs)
        }
    }

    /// The frontier of p-value and cost, from small p-values to small costs.
    ///
    /// Candidates sorted by rising p-value (equal ones by falling z, then rising cost, then index); one is kept when its
    /// cost is strictly lower than all kept before.
    ///
    /// - Parameters:
    ///   - pValues: [candidates]: p-values, or anything that falls as evidence rises; no NaN.
    ///   - zStatistics: [candidates]: breaks ties of p-values, which underflow and pile up at 1; none by default.
    ///   - costs: [candidates]; no NaN.
    /// - Complexity: O(K log K).
    public static func frontier(pValues: [Double], zStatistics: [Double]? = nil, costs: [Double]) -> [Int] {
        precondition(pValues.count == costs.count, "a cost for each p-value")
        precondition(zStatistics.map { $0.count == costs.count } ?? true, "a z-statistic for each p-value")
        precondition(!pValues.contains(where: \.isNaN) && !costs.contains(where: \.isNaN), "no NaN in an order")
        let sorted = pValues.indices.sorted { first, second in
            if pValues[first] != pValues[second] { return pValues[first] < pValues[second] }
            if let zStatistics, zStatistics[first] != zStatistics[second] {
                return zStatistics[first] > zStatistics[second]
            }
            if costs[first] != costs[second] { return costs[first] < costs[second] }
            return first < second
        }
        var cheapest = Double.infinity
        return sorted.filter { candidate in
            guard costs[candidate] < cheapest else { return false }
            cheapest = costs[candidate]
            return true
        }
    }
}
