/// One threshold for each exit but the last: the only place that says where a sample leaves.
///
/// A sample leaves at the first exit whose score is at least the threshold there, and at the last exit otherwise.
/// `nil` is a threshold that no score reaches, so "never leave early" is a value like any other.
public struct Thresholds: Equatable, Sendable {
    /// [exits - 1]: the thresholds; nil where no sample leaves.
    public var values: [Double?]

    /// Creates thresholds from one value for each exit but the last.
    public init(_ values: [Double?]) {
        precondition(values.allSatisfy { $0?.isNaN != true }, "a threshold is a number or nil")
        self.values = values
    }

    /// The thresholds with which every sample goes to the last of `exitCount` exits.
    public static func neverLeaveEarly(exitCount: Int) -> Thresholds {
        Thresholds(Array(repeating: nil, count: exitCount - 1))
    }

    /// The same threshold at every exit but the last of `exitCount`.
    public static func shared(_ value: Double?, exitCount: Int) -> Thresholds {
        Thresholds(Array(repeating: value, count: exitCount - 1))
    }

    /// How many exits there are, the last included.
    public var exitCount: Int { values.count + 1 }

    /// Whether a sample with this score leaves at this exit. At the last exit every sample leaves.
    public func releases(score: Double, at exitIndex: Int) -> Bool {
        guard exitIndex < values.count else { return true }
        guard let threshold = values[exitIndex] else { return false }
        return score >= threshold
    }

    /// The exit at which a sample leaves, asking for the score of each exit only when it gets there.
    ///
    /// - Parameter score: the score of the sample at an exit.
    /// - Complexity: O(exits).
    @inlinable
    public func exitTaken(score: (_ exitIndex: Int) throws -> Double) rethrows -> Int {
        for exitIndex in values.indices {
            guard values[exitIndex] != nil else { continue }
            if releases(score: try score(exitIndex), at: exitIndex) { return exitIndex }
        }
        return values.count
    }
}
