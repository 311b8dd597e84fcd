/// A way to turn what the exits say into a score that is compared with a threshold.
///
/// Every rule is a score that rises with certainty, computed exit by exit from the prediction at hand and what the
/// exit before said. Scores do not depend on thresholds. So search, certificate and runtime are written once.
public protocol ExitRule: Sendable {
    /// The score of a prediction.
    ///
    /// - Parameters:
    ///   - prediction: what exit `exitIndex` says.
    ///   - exitIndex: 0-based.
    ///   - previous: label and score of the exit before; nil at exit 0.
    func score(of prediction: Prediction, at exitIndex: Int, after previous: ScoredLabel?) -> Double
}

/// The label an exit gave, with the score it had there: all that the next exit's score needs.
public struct ScoredLabel: Equatable, Sendable {
    /// The label.
    public var label: Int32
    /// The score.
    public var score: Double

    /// Creates a scored label.
    public init(label: Int32, score: Double) {
        self.label = label
        self.score = score
    }
}
