/// How often an exit is right at each level of confidence: what a reliability diagram shows, in bins of equal width.
///
/// A bin holds its lower edge, the last one both; confidences outside [0, 1] fall into the first or last bin.
///
/// - Reference: DeGroot and Fienberg (1983), "The comparison and evaluation of forecasters"; Niculescu-Mizil and Caruana
///   (2005), "Predicting good probabilities with supervised learning".
public struct ReliabilityDiagram: Equatable, Sendable {
    /// Samples of like confidence.
    public struct Bin: Equatable, Sendable {
        /// How many there are.
        public var samples = 0
        /// How many of them are right.
        public var correct = 0
        /// The sum of their confidences.
        public var confidenceSum = 0.0

        /// The mean confidence; NaN without samples.
        public var meanConfidence: Double { confidenceSum / Double(samples) }
        /// The fraction that is right; NaN without samples.
        public var accuracy: Double { Double(correct) / Double(samples) }
    }

    /// From low confidence to high.
    public private(set) var bins: [Bin]

    /// Sorts samples into bins.
    ///
    /// - Parameters:
    ///   - confidences: [samples]
    ///   - isCorrect: [samples]
    ///   - count: how many bins.
    /// - Complexity: O(samples + bins).
    public init(confidences: [Float], isCorrect: [Bool], bins count: Int = 15) {
        precondition(confidences.count == isCorrect.count && count > 0, "a confidence for each sample, and bins")
        bins = Array(repeating: Bin(), count: count)
        for (confidence, correct) in zip(confidences, isCorrect) {
            let bin = min(count - 1, max(0, Int(Double(confidence) * Double(count))))
            bins[bin].samples += 1
            bins[bin].correct += correct ? 1 : 0
            bins[bin].confidenceSum += Double(confidence)
        }
    }

    /// The expected calibration error `sum_b n_b / n |accuracy_b - confidence_b|`: a number in [0, 1] for confidences in
    /// [0, 1]; 0 without samples.
    ///
    /// - Reference: Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks".
    public var expectedCalibrationError: Double {
        let samples = bins.reduce(0) { $0 + $1.samples }
        guard samples > 0 else { return 0 }
        return bins.reduce(0) { $0 + abs($1.confidenceSum - Double($1.correct)) } / Double(samples)
    }
}
