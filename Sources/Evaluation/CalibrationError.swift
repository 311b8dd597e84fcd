/// The expected calibration error: how far confidence and accuracy are apart, on average over samples.
///
/// Samples are put into bins of equal width by confidence; the error is `sum_b n_b / n |accuracy_b - confidence_b|`
/// (Guo et al., On Calibration of Modern Neural Networks, 2017, equation 5). A bin holds its lower edge, the last one
/// both.
///
/// - Parameters:
///   - confidences: [samples]; values outside [0, 1] fall into the first or last bin.
///   - isCorrect: [samples]
///   - bins: how many bins.
/// - Returns: a number in [0, 1] for confidences in [0, 1]; 0 without samples.
/// - Complexity: O(samples + bins).
public func expectedCalibrationError(confidences: [Float], isCorrect: [Bool], bins: Int = 15) -> Double {
    precondition(confidences.count == isCorrect.count && bins > 0, "a confidence for each sample, and bins")
    guard !confidences.isEmpty else { return 0 }
    var surplus = [Double](repeating: 0, count: bins)
    for (confidence, correct) in zip(confidences, isCorrect) {
        let bin = min(bins - 1, max(0, Int(Double(confidence) * Double(bins))))
        surplus[bin] += Double(confidence) - (correct ? 1 : 0)
    }
    return surplus.reduce(0) { $0 + abs($1) } / Double(confidences.count)
}
