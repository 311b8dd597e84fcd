import Foundation

/// The mean curvature of a softmax cross-entropy over the directions of its logits that matter: the trace of
/// `diag(p) - p pᵀ` over C - 1, as the direction of a common shift has none, so `(1 - sum_k p_k²) / (C - 1)`.
///
/// - Parameters:
///   - logits: [classes]
///   - temperature: what logits are divided by; above 0.
/// - Complexity: O(classes).
func softmaxCurvature(_ logits: UnsafePointer<Float>, temperature: Double = 1, classes: Int) -> Double {
    var top = logits[0]
    for index in 1..<max(classes, 1) { top = max(top, logits[index]) }
    var sum = 0.0
    var squares = 0.0
    for index in 0..<classes {
        let exponential = exp(Double(logits[index] - top) / temperature)
        sum += exponential
        squares += exponential * exponential
    }
    return max(0, 1 - squares / (sum * sum)) / Double(max(1, classes - 1))
}
