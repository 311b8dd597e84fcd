import Evaluation
import ExitRules
import RiskControl
import Statistics
import ThresholdOptimizer

/// What a split says of all policies of a path, as evidence for an order; certificates do not rest on it.
struct PathEvidence: Sendable {
    /// What one part of the population says of one policy.
    struct Item: Sendable {
        var counts: PairedCounts
        /// Nil for independent samples.
        var moments: GroupMoments?
        /// The cost of its samples together.
        var costSum: Double

        /// How many standard errors the policy is better than allowed.
        func z(allowedGap: Double, loss: PolicyLoss) -> Double {
            if let moments { return moments.z(allowedGap: allowedGap) }
            guard loss == .error else { return Self.disagreementZ(counts, allowed: allowedGap) }
            return gapZ(counts, allowedGap: allowedGap)
        }

        /// The variance of one sample's difference that `z` divides by.
        func nullVariance(allowedGap: Double, loss: PolicyLoss) -> Double {
            if let moments { return moments.nullSquares(allowedGap: allowedGap) / Double(max(counts.samples, 1)) }
            guard loss == .error else { return allowedGap * (1 - allowedGap) }
            return gapVariance(counts, allowedGap: allowedGap)
        }

        /// The variance of one sample's difference as it was seen, but for the square of its mean.
        var variance: Double {
            let flips = moments?.squares ?? counts.harmfulFlips + counts.helpfulFlips
            return Double(flips) / Double(max(counts.samples, 1))
        }

        private static func disagreementZ(_ counts: PairedCounts, allowed: Double) -> Double {
            let samples = Double(max(counts.samples, 1))
            let spread = (samples * allowed * (1 - allowed)).squareRoot()
            return spread > 0 ? (samples * allowed - Double(counts.harmfulFlips)) / spread : 0
        }

        static func + (first: Item, second: Item) -> Item {
            Item(
                counts: first.counts + second.counts,
                moments: first.moments.flatMap { own in second.moments.map { own + $0 } },
                costSum: first.costSum + second.costSum)
        }
    }

    /// [parts][policies]: the parts that must all pass; the whole where none are told apart.
    let parts: [[Item]]
    let loss: PolicyLoss

    /// Counts a table's samples.
    ///
    /// - Complexity: that of ``PolicyPath/points(on:)`` for all parts together.
    init(_ path: PolicyPath, on view: SplitView) {
        self.init(
            parts: view.demandedParts.map { part in
                let moments = part.groups.map { path.groupMoments(on: part.table, groups: $0) }
                return path.points(on: part.table).enumerated().map { policy, point in
                    Item(counts: point.counts, moments: moments?[policy], costSum: point.costSum)
                }
            }, loss: view.loss)
    }

    init(parts: [[Item]], loss: PolicyLoss) {
        precondition(!parts.isEmpty, "evidence is about someone")
        self.parts = parts
        self.loss = loss
    }

    /// How many policies there are.
    var count: Int { parts[0].count }

    /// [policies]: the least evidence of any part.
    func z(allowedGap: Double) -> [Double] {
        (0..<count).map { policy in
            parts.reduce(.infinity) { min($0, $1[policy].z(allowedGap: allowedGap, loss: loss)) }
        }
    }

    /// [policies]: exact p-values at gap 0; nil where the z-statistic is all there is.
    ///
    /// - Complexity: a p-value each.
    func pValues(allowedGap: Double) -> [Double]? {
        guard allowedGap == 0, loss == .error, parts[0].first?.moments == nil else { return nil }
        return (0..<count).map { policy in parts.reduce(0) { max($0, exactBinomialPValue($1[policy].counts)) } }
    }

    /// [policies]: the risk gap of all parts together.
    var gaps: [Double] { whole.map(\.counts.riskGap) }

    /// [policies]: the mean cost.
    var meanCosts: [Double] { whole.map { $0.costSum / Double(max($0.counts.samples, 1)) } }

    /// The first policy on all parts together.
    var first: Item { whole[0] }

    /// The evidence about one policy.
    func selecting(_ policy: Int) -> PathEvidence {
        PathEvidence(parts: parts.map { [$0[policy]] }, loss: loss)
    }

    /// The evidence of two sets of samples about the same policies.
    static func + (first: PathEvidence, second: PathEvidence) -> PathEvidence {
        PathEvidence(
            parts: zip(first.parts, second.parts).map { first, second in zip(first, second).map { $0 + $1 } },
            loss: first.loss)
    }

    private var whole: [Item] {
        parts.dropFirst().reduce(parts[0]) { sum, part in zip(sum, part).map { $0 + $1 } }
    }
}
