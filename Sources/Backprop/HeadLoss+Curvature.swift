import Foundation

/// What a preconditioner needs to know of a loss beyond ``HeadLoss``.
extension HeadLoss {
    /// Whether the loss stays the same when all logits of a row grow by the same number, as those of a softmax do.
    var ignoresCommonShift: Bool {
        self is CrossEntropyLoss || self is DistillationLoss || self is JointExitLoss
    }

    /// Whether it is the mean cross-entropy that `SoftmaxCrossEntropy` computes in Float32, without weights of any kind.
    func isPlainCrossEntropy(of targets: HeadTargets) -> Bool {
        guard let loss = self as? CrossEntropyLoss else { return false }
        return loss.classWeights.isEmpty && loss.smoothing == 0 && targets.rowWeights.isEmpty
    }

    /// The mean curvature of a row's loss over the directions of its logits that matter.
    ///
    /// For a softmax that is the trace of `diag(p) - p pᵀ` over C - 1, as the direction of a common shift has none; for the
    /// squared error 2. A loss of another type counts like the squared error: a preconditioner may be wrong, not singular.
    ///
    /// - Parameter logits: [classes]
    /// - Returns: the curvature times the weights of row and class, not negative, and the weight with which the row counts
    ///   in a mean.
    /// - Complexity: O(classes).
    func curvature(logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, classes: Int) -> LossSum {
        let scale = targets.rowWeights.isEmpty ? 1 : Double(targets.rowWeights[row])
        switch self {
        case let loss as CrossEntropyLoss:
            return loss.curvature(logits, label: Int(targets.labels[row]), scale: scale, classes: classes)
        case let loss as DistillationLoss:
            // T² in front of the divergence and T⁻² of the softened logits cancel.
            return LossSum(
                loss: scale * softmaxCurvature(logits, temperature: loss.temperature, classes: classes), weight: scale)
        case let loss as JointExitLoss:
            var sum = loss.crossEntropy.curvature(
                logits, label: Int(targets.labels[row]), scale: scale, classes: classes)
            sum.loss +=
                sum.weight * softmaxCurvature(logits, temperature: loss.distillation.temperature, classes: classes)
            return sum
        default: return LossSum(loss: 2 * scale, weight: scale)
        }
    }
}

extension CrossEntropyLoss {
    fileprivate func curvature(
        _ logits: UnsafePointer<Float>, label: Int, scale: Double, classes: Int
    ) -> LossSum {
        let own = scale * weight(ofClass: label)
        var mass = own
        if smoothing > 0, !classWeights.isEmpty {
            let mean = classWeights.reduce(0) { $0 + Double($1) } / Double(classes)
            mass = (1 - smoothing) * own + smoothing * scale * mean
        }
        return LossSum(loss: mass * softmaxCurvature(logits, temperature: 1, classes: classes), weight: own)
    }
}

/// `(1 - sum_k p_k²) / (C - 1)` with `p = softmax(logits / temperature)`.
private func softmaxCurvature(_ logits: UnsafePointer<Float>, temperature: Double, classes: Int) -> Double {
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
