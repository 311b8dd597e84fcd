/// Everyone leaves at one exit: the truncated network, the baseline that comes first.
///
/// The score is the exit's index, so the shared threshold says which exit that is, and search, certificate and runtime
/// need to know nothing of it.
public struct StaticRule: ExitRule, Equatable {
    /// Creates the rule.
    public init() {}

    /// The exit's index.
    public func score(of prediction: Prediction, at exitIndex: Int, after previous: ScoredLabel?) -> Double {
        Double(exitIndex)
    }
}
