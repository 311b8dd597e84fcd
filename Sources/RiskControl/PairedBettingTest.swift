import Statistics

/// The betting test of "the mean paired loss difference is above an allowed gap", for bounded losses of any kind.
///
/// A difference d is the policy's loss minus the reference's on the same sample. The test bets along the samples, in
/// one order drawn by the seed, that d is smaller than allowed (`BettingWealth`); the p-value is 1 / largest wealth.
/// Valid for every n and every distribution in the declared range. For 0/1 losses ``ExactTrinomialTest`` is stronger:
/// at level 0.05, n 1000, P(b) .02, P(c) .03, gap .01 its power is .88 against .83 here.
///
/// The order must not depend on the data. Tables come sorted (by class, source, difficulty), and along a sorted table
/// the bets are no longer fair; so rows are shuffled, by the seed alone. Another order gives another p-value: trying
/// several and keeping the smallest voids the level.
///
/// Assumes independent samples, or independent groups of them.
public struct PairedBettingTest: Equatable, Sendable {
    /// The largest mean difference that is accepted, epsilon.
    public let allowedGap: Double
    /// The range in which every difference lies, whatever the sample.
    public let range: ClosedRange<Double>
    /// Draws the order.
    public let seed: UInt64
    /// The level the bets aim at.
    public let level: Double
    /// At most this share of the wealth can be lost on one sample.
    public let largestShare: Double
    /// How bets are sized.
    public let strategy: BettingStrategy

    /// Creates a test; all of it is to be fixed before the data are seen.
    ///
    /// - Parameters:
    ///   - allowedGap: in `range`, below its upper end.
    ///   - range: of the differences; for losses in [0, 1] it is -1...1.
    ///   - seed: the recipe's.
    ///   - level: in (0, 1); the p-value is valid at all levels and most powerful near this one.
    ///   - largestShare: c in (0, 1): bets lie in [0, c / (1 - m)], m the allowed gap with the range brought to [0, 1].
    ///   - strategy: by default the stronger one.
    public init(
        allowedGap: Double, range: ClosedRange<Double> = -1...1, seed: UInt64, level: Double = 0.05,
        largestShare: Double = 0.75, strategy: BettingStrategy = .retargeted
    ) {
        precondition(range.lowerBound.isFinite && range.upperBound.isFinite, "a range is finite")
        precondition(
            allowedGap >= range.lowerBound && allowedGap < range.upperBound,
            "an allowed gap at or above the largest difference needs no test")
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        precondition(largestShare > 0 && largestShare < 1, "wealth stays positive only if a share of it is bet")
        self.allowedGap = allowedGap
        self.range = range
        self.seed = seed
        self.level = level
        self.largestShare = largestShare
        self.strategy = strategy
    }

    /// The p-value from independent samples; 1 without any.
    ///
    /// - Parameter differences: [samples]: loss of the policy minus loss of the reference.
    /// - Throws: ``RiskControlError/differenceOutsideRange(sample:value:range:)``.
    /// - Complexity: O(samples log samples), for the shuffle.
    public func pValue(differences: [Double]) throws(RiskControlError) -> Double {
        try check(differences)
        return pValue(of: differences, mean: allowedGap, in: range)
    }

    /// The p-value when samples come in groups: the unit is the group, and its members may depend on each other.
    ///
    /// The null is "the mean of `Y = (sum over the group of (d - allowedGap)) / maximumGroupSize` is above 0", which is
    /// "the gap over all samples is above the allowed one", large groups counting for more. Dividing by a number fixed
    /// beforehand, not by the group's own size, keeps it that.
    ///
    /// - Parameters:
    ///   - differences: [samples].
    ///   - groups: [samples]: the group of each; the members need not be neighbours.
    ///   - maximumGroupSize: the largest group that can occur, positive, known before the data were seen.
    /// - Throws: ``RiskControlError`` for a difference outside the range, a group larger than declared, or columns of
    ///   unequal length.
    public func pValue(
        differences: [Double], groups: [Int], maximumGroupSize: Int
    ) throws(RiskControlError) -> Double {
        precondition(maximumGroupSize > 0, "a group has samples")
        guard groups.count == differences.count else {
            throw .unequalLengths(column: "group", seen: groups.count, expected: differences.count)
        }
        try check(differences)
        let units = SampleGroups(groups)
        try units.require(maximumSize: maximumGroupSize)
        let values = units.groups.map { group in
            group.rows.reduce(0) { $0 + (differences[$1] - allowedGap) } / Double(maximumGroupSize)
        }
        // A group smaller than the largest stays nearer to 0, which lies in the range.
        return pValue(of: values, mean: 0, in: (range.lowerBound - allowedGap)...(range.upperBound - allowedGap))
    }

    private func check(_ differences: [Double]) throws(RiskControlError) {
        for (sample, value) in differences.enumerated() where !range.contains(value) {
            throw .differenceOutsideRange(sample: sample, value: value, range: range)
        }
    }

    /// Bets along the values in the seed's order, with the range brought to [0, 1].
    private func pValue(of values: [Double], mean: Double, in range: ClosedRange<Double>) -> Double {
        let width = range.upperBound - range.lowerBound
        // Rounding in a group's sum can step over the end by an ulp; the wealth must not.
        let unit = { (value: Double) in min(1, max(0, (value - range.lowerBound) / width)) }
        var wealth = BettingWealth(
            mean: unit(mean), largestShare: largestShare, strategy: strategy, level: level, samples: values.count)
        for index in Self.order(count: values.count, seed: seed) { wealth.observe(unit(values[index])) }
        return wealth.pValue
    }

    /// A random order of 0..<count: by a hash of the seed and the row, which no two rows share.
    static func order(count: Int, seed: UInt64) -> [Int] {
        let keys = (0..<count).map { SplitMix64.hash(seed: seed, id: UInt64($0)) }
        return (0..<count).sorted { keys[$0] < keys[$1] }
    }
}
