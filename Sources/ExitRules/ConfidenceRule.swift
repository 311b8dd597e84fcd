/// Leave by the confidence of one exit alone: `S_i = C_i`, whatever the exits before said.
///
/// What confidence measures is the policy's ``ConfidenceMeasure``: the largest probability (the usual baseline), the
/// margin, or 1 - normalised entropy.
public struct ConfidenceRule: ExitRule, Equatable {
    /// Creates the rule.
    public init() {}

    /// The confidence.
    public func score(of prediction: Prediction, at exitIndex: Int, after previous: ScoredLabel?) -> Double {
        Double(prediction.confidence)
    }
}
