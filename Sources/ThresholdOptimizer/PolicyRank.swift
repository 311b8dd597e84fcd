import Evaluation

/// How good a policy is on a table, smaller is better: first how far it breaks the constraint, then its cost, then its
/// risk gap, then its harmful flips.
///
/// Among admissible policies it ranks by speed-up. It also ranks those that are not, so that a search may start from one
/// and work its way back.
struct PolicyRank: Comparable {
    /// How much `b - c` is above the largest admissible value; 0 when admissible.
    var violation: Int
    /// The cost of all samples.
    var costSum: Double
    /// b - c.
    var excess: Int
    /// b.
    var harmfulFlips: Int

    init(costSum: Double, harmfulFlips: Int, helpfulFlips: Int, largestExcess: Int) {
        excess = harmfulFlips - helpfulFlips
        violation = max(0, excess - largestExcess)
        self.costSum = costSum
        self.harmfulFlips = harmfulFlips
    }

    init(_ outcome: Outcome, constraint: RiskConstraint) {
        self.init(
            costSum: outcome.costSum, harmfulFlips: outcome.counts.harmfulFlips,
            helpfulFlips: outcome.counts.helpfulFlips,
            largestExcess: constraint.largestExcess(samples: outcome.sampleCount))
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.violation, left.costSum, left.excess, left.harmfulFlips)
            < (right.violation, right.costSum, right.excess, right.harmfulFlips)
    }
}
