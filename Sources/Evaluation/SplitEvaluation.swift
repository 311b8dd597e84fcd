import ExitRules
import Statistics

/// How one exit does on one split.
public struct SplitEvaluation: Codable, Equatable, Sendable {
    /// How many samples the split has.
    public var n: Int
    /// How many the exit gets wrong.
    public var errors: Int
    /// `errors / n`.
    public var errorRate: Double
    /// The exact two-sided 95 % interval of the error rate (Clopper and Pearson, 1934): [lower, upper].
    public var interval: [Double]
    /// The mean confidence; nil where labels are all that is known.
    public var meanConfidence: Double?
    /// The expected calibration error of the confidence, see ``ReliabilityDiagram/expectedCalibrationError``;
    /// nil where labels are all that is known.
    public var ece: Double?
    /// This exit wrong and the final layer right.
    public var harmfulFlips: Int
    /// This exit right and the final layer wrong.
    public var helpfulFlips: Int

    /// Evaluates one exit.
    ///
    /// - Parameters:
    ///   - outputs: what all exits say of the split; at least one sample.
    ///   - exit: the exit's index.
    public init(_ outputs: ExitOutputs, exit: Int) {
        precondition(outputs.sampleCount > 0, "an evaluation needs samples")
        let isCorrect = outputs.isCorrect(exit: exit)
        let finalIsCorrect = outputs.isCorrect(exit: outputs.exitCount - 1)
        let pairs = PairedCounts(isCorrect: isCorrect, referenceIsCorrect: finalIsCorrect)
        let confidences = outputs.confidences?[exit]
        n = outputs.sampleCount
        errors = isCorrect.count { !$0 }
        errorRate = Double(errors) / Double(n)
        let exact = BinomialInterval(successes: errors, trials: n, confidence: 0.95)
        interval = [exact.lower, exact.upper]
        meanConfidence = confidences.map { $0.reduce(0) { $0 + Double($1) } / Double(outputs.sampleCount) }
        ece = confidences.map {
            ReliabilityDiagram(confidences: $0, isCorrect: isCorrect).expectedCalibrationError
        }
        harmfulFlips = pairs.harmfulFlips
        helpfulFlips = pairs.helpfulFlips
    }
}
