import Evaluation

/// The tests of "the risk gap is above an allowed gap" that need only the paired counts of independent samples.
public enum PairedTest: String, CaseIterable, Sendable {
    /// McNemar's exact test, ``exactBinomialPValue(_:)``. It tests a gap above 0, so it is valid for larger allowed
    /// gaps too, and weak there.
    case exactBinomial = "paired-exact-binomial"
    /// ``ExactTrinomialTest``.
    case exactTrinomial = "paired-exact-trinomial"

    /// The stronger one, also at an allowed gap of 0: at level 0.05, n 1000, P(b) .02, P(c) .04 its power is .833
    /// against .802; at n 5000, P(b) .02, P(c) .03, .937 against .929.
    public static let strongest = PairedTest.exactTrinomial

    /// The p-value of independent samples.
    ///
    /// - Parameters:
    ///   - counts: of all samples.
    ///   - allowedGap: in [0, 1).
    public func pValue(_ counts: PairedCounts, allowedGap: Double) -> Double {
        switch self {
        case .exactBinomial: exactBinomialPValue(counts)
        case .exactTrinomial: ExactTrinomialTest(allowedGap: allowedGap).pValue(counts)
        }
    }

    /// Whether the p-value of independent samples is at most a level; cheaper than the p-value where it can be.
    public func isRejected(_ counts: PairedCounts, allowedGap: Double, at level: Double) -> Bool {
        switch self {
        case .exactBinomial: exactBinomialPValue(counts) <= level
        case .exactTrinomial: ExactTrinomialTest(allowedGap: allowedGap).isRejected(counts, at: level)
        }
    }

    /// The p-value of samples that come in groups, which must be of one sample each.
    ///
    /// - Parameters:
    ///   - counts: of all samples.
    ///   - allowedGap: in [0, 1).
    ///   - groups: [samples]: the group of each sample.
    /// - Throws: ``RiskControlError/dependentSamples(test:group:size:)`` when a group has more than one sample.
    public func pValue(
        _ counts: PairedCounts, allowedGap: Double, groups: [Int]
    ) throws(RiskControlError) -> Double {
        try requireIndependence(counts, groups)
        return pValue(counts, allowedGap: allowedGap)
    }

    /// Whether the p-value of samples that come in groups is at most a level.
    ///
    /// - Throws: as ``pValue(_:allowedGap:groups:)``.
    public func isRejected(
        _ counts: PairedCounts, allowedGap: Double, at level: Double, groups: [Int]
    ) throws(RiskControlError) -> Bool {
        try requireIndependence(counts, groups)
        return isRejected(counts, allowedGap: allowedGap, at: level)
    }

    private func requireIndependence(_ counts: PairedCounts, _ groups: [Int]) throws(RiskControlError) {
        guard groups.count == counts.samples else {
            throw .unequalLengths(column: "group", seen: groups.count, expected: counts.samples)
        }
        try SampleGroups(groups).requireIndependence(for: self == .exactBinomial ? "exact binomial" : "exact trinomial")
    }
}
