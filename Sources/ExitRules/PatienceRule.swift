/// Leave when so many exits in a row have said the same: the score counts agreements with the exit before, and starts
/// again at 0 on disagreement. Confidence plays no part.
///
/// - Reference: Zhou, Xu, Ge, McAuley, Xu and Wei (2020), "BERT loses patience: fast and robust inference with early
///   exit" (PABEE), equation 4; a threshold of t is their patience t.
public struct PatienceRule: ExitRule, Equatable {
    /// Creates the rule.
    public init() {}

    /// How many exits in a row, before this one, said what it says.
    public func score(of prediction: Prediction, at exitIndex: Int, after previous: ScoredLabel?) -> Double {
        guard let previous, previous.label == prediction.label else { return 0 }
        return previous.score + 1
    }
}
