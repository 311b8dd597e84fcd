/// Data that a test cannot be applied to without losing its guarantee.
public enum RiskControlError: Error, Equatable, Sendable {
    /// A paired loss difference is not finite or lies outside the range it was declared for.
    case differenceOutsideRange(sample: Int, value: Double, range: ClosedRange<Double>)
    /// A group has more samples than the maximum that was declared before its data were seen.
    case groupTooLarge(group: Int, size: Int, maximum: Int)
    /// A test for independent samples was given a group of several.
    case dependentSamples(test: String, group: Int, size: Int)
    /// Two columns that belong together differ in length.
    case unequalLengths(column: String, seen: Int, expected: Int)
}

extension RiskControlError: CustomStringConvertible {
    /// What was seen, what was expected, and what to do.
    public var description: String {
        switch self {
        case .differenceOutsideRange(let sample, let value, let range):
            "sample \(sample): a loss difference of \(value); expected \(range.lowerBound) to \(range.upperBound). "
                + "Declare the range of the losses before looking at them; clipping would void the guarantee."
        case .groupTooLarge(let group, let size, let maximum):
            "group \(group): \(size) samples; expected at most \(maximum), the declared maximum. "
                + "Set maxGroupSize to the largest group that can occur, before the certify split is used."
        case .dependentSamples(let test, let group, let size):
            "group \(group): \(size) samples; the \(test) test expects independent samples, groups of one. "
                + "Use the betting test on groups."
        case .unequalLengths(let column, let seen, let expected):
            "\(column): \(seen) values; expected \(expected), one for each sample."
        }
    }
}
