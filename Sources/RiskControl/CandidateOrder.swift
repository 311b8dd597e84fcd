import Evaluation
import RealModule
import Statistics

/// How the tune split orders the candidates that the certify split will test.
///
/// Candidates come along a path from safe to fast, so their costs fall. Every order but the last runs along the frontier
/// of evidence and cost, from the candidate the tune split is surest of to the fastest one worth a test: a candidate
/// that costs no less than one with more evidence can only lose.
public enum CandidateOrder: String, Codable, CaseIterable, Sendable {
    /// Evidence is a small p-value on tune; equal p-values by z.
    case tuneP = "tune-p"
    /// Evidence is a large z-statistic on tune.
    case tuneZ = "tune-z"
    /// The same after smoothing z along the path: neighbouring candidates differ by few samples, so what stands out
    /// against its neighbours is chance. Candidates whose costs differ by less than one percent are not told apart.
    case smoothedZ = "smoothed-z"
    /// As smoothed-z, with the level divided over several starts.
    case fallback
    /// One candidate, that of the largest product of predicted power and cost saved.
    case singlePick = "single-pick"

    /// The order that recipes use unless they name another; the comparison is in the article "Choosing among policies".
    public static let standard = CandidateOrder.smoothedZ

    /// What the tune split says of the candidates of a path.
    public struct Evidence: Equatable, Sendable {
        /// [candidates]: how many standard errors a candidate is better than allowed; finite.
        public var z: [Double]
        /// [candidates]: p-values of "worse than allowed", where they say more than z; nil otherwise.
        public var pValues: [Double]?
        /// [candidates]: mean costs, from safe to fast, so not rising; no NaN.
        public var costs: [Double]
        /// The cost without early exit; what costs as much saves nothing, and is not tested.
        public var fullCost: Double
        /// The size of the certify split as a multiple of that of tune.
        public var sampleRatio: Double
        /// The level candidates will be tested at.
        public var level: Double

        /// Creates evidence.
        public init(
            z: [Double], pValues: [Double]? = nil, costs: [Double], fullCost: Double, sampleRatio: Double,
            level: Double
        ) {
            precondition(z.count == costs.count && z.allSatisfy(\.isFinite), "a z-statistic for each candidate")
            precondition(pValues.map { $0.count == costs.count } ?? true, "a p-value for each candidate")
            self.z = z
            self.pValues = pValues
            self.costs = costs
            self.fullCost = fullCost
            self.sampleRatio = sampleRatio
            self.level = level
        }
    }

    /// The plan for some candidates.
    ///
    /// - Complexity: O(K log K).
    public func plan(_ evidence: Evidence) -> CandidatePlan {
        // Where checks cost something, policies at which hardly anyone leaves cost more than no early exit at all.
        let first = evidence.costs.firstIndex { $0 < evidence.fullCost } ?? evidence.costs.count
        guard first > 0 else { return planAll(evidence) }
        var saving = evidence
        saving.z.removeFirst(first)
        saving.pValues?.removeFirst(first)
        saving.costs.removeFirst(first)
        guard !saving.costs.isEmpty else { return CandidatePlan(candidates: []) }
        return planAll(saving).naming { $0 + first }
    }

    private func planAll(_ evidence: Evidence) -> CandidatePlan {
        switch self {
        case .tuneP:
            let pValues = evidence.pValues ?? evidence.z.map { -$0 }
            return CandidatePlan(
                candidates: Self.frontier(pValues: pValues, zStatistics: evidence.z, costs: evidence.costs))
        case .tuneZ:
            return CandidatePlan(
                candidates: Self.frontier(pValues: evidence.z.map { -$0 }, costs: evidence.costs))
        case .smoothedZ:
            return CandidatePlan(candidates: Self.smoothedFrontier(evidence))
        case .fallback:
            let candidates = Self.smoothedFrontier(evidence)
            return CandidatePlan(candidates: candidates, starts: Self.starts(candidates, costs: evidence.costs))
        case .singlePick:
            return CandidatePlan(candidates: Self.pick(evidence).map { [$0] } ?? [])
        }
    }

    /// How far apart the logarithms of the costs of candidates may be that are averaged.
    static let smoothingWidth = 0.2
    /// By how much, as a share, the next candidate of a smoothed order costs less at least: every candidate is a hurdle.
    static let smallestStep = 0.01

    private static func smoothedFrontier(_ evidence: Evidence) -> [Int] {
        let smooth = smoothed(evidence.z, alongCosts: evidence.costs)
        let frontier = frontier(pValues: smooth.map { -$0 }, costs: evidence.costs)
        var last = Double.infinity
        return frontier.filter { candidate in
            guard evidence.costs[candidate] <= last * (1 - smallestStep) else { return false }
            last = evidence.costs[candidate]
            return true
        }
    }

    /// Starts that divide what there is to save in the order evenly.
    private static func starts(_ candidates: [Int], costs: [Double], count: Int = 2) -> [Int] {
        guard let first = candidates.first, let last = candidates.last else { return [0] }
        return (0..<count).reduce(into: []) { starts, part in
            let goal = costs[first] + (costs[last] - costs[first]) * Double(part) / Double(count)
            let position = candidates.firstIndex { costs[$0] <= goal } ?? 0
            if starts.last.map({ $0 < position }) ?? true { starts.append(position) }
        }
    }

    /// The candidate of the largest product of predicted power and cost saved.
    private static func pick(_ evidence: Evidence) -> Int? {
        let smooth = smoothed(evidence.z, alongCosts: evidence.costs)
        let quantile = Normal.quantile(evidence.level)
        func gain(_ candidate: Int) -> Double {
            Normal.cdf(smooth[candidate] * evidence.sampleRatio.squareRoot() + quantile)
                * (evidence.fullCost - evidence.costs[candidate])
        }
        return smooth.indices.max { gain($0) < gain($1) }
    }

    /// Averages values of the candidates of a path over neighbours that cost nearly the same.
    ///
    /// - Parameters:
    ///   - values: [candidates]
    ///   - costs: [candidates], positive, not rising.
    /// - Complexity: O(K).
    public static func smoothed(_ values: [Double], alongCosts costs: [Double]) -> [Double] {
        smoothed(values, along: costs.map { .log($0) }, width: smoothingWidth)
    }

    /// Averages values over neighbours whose place differs by at most a width.
    ///
    /// - Parameters:
    ///   - values: [candidates]
    ///   - places: [candidates], not rising.
    /// - Complexity: O(K).
    static func smoothed(_ values: [Double], along places: [Double], width: Double) -> [Double] {
        var sums = [0.0]
        for value in values { sums.append(sums[sums.count - 1] + value) }
        var (low, high) = (0, 0)
        return places.map { place in
            while places[low] > place + width { low += 1 }
            while high < places.count, places[high] >= place - width { high += 1 }
            return (sums[high] - sums[low]) / Double(high - low)
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

/// How many standard errors a policy is better than allowed, from paired counts of independent samples: the score
/// statistic against the allowed gap, with its sign turned; at gap 0 ``pairedZ(_:)``.
///
/// For orders, not for certificates.
public func gapZ(_ counts: PairedCounts, allowedGap: Double) -> Double {
    let score = TrinomialScore(samples: counts.samples, gap: allowedGap)(
        harmful: counts.harmfulFlips, helpful: counts.helpfulFlips)
    // Infinite scores (no variance under the null) would spoil averages.
    return max(-1e6, min(1e6, -score))
}

/// The variance of one sample's difference that ``gapZ(_:allowedGap:)`` divides by: the most likely one if the gap is the
/// allowed one.
public func gapVariance(_ counts: PairedCounts, allowedGap: Double) -> Double {
    TrinomialScore(samples: counts.samples, gap: allowedGap)
        .variance(harmful: counts.harmfulFlips, helpful: counts.helpfulFlips)
}
