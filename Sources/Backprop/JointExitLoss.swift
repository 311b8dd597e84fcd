/// One exit's term of the joint objective that BEEM's authors train with: cross-entropy to the labels plus the
/// divergence from the final exit, `CE_i + KL(final || exit i)`.
///
/// The whole objective is `sum_i a_i (CE_i + KL_i)` with the weights of ``exitWeights(count:)``. The final exit teaches
/// and is not taught: its term is the cross-entropy alone, so give it a plain ``CrossEntropyLoss``. (With its own logits
/// as teacher this loss has the same value and gradient.)
///
/// Class weights, if there are any, weigh rows: they multiply the divergence of a row too, and the mean divides both by
/// the same sum.
///
/// - Reference: Bajpai and Hanawal (2025), "BEEM: Boosting performance of early exit DNNs using multi-exit classifiers as
///   experts"; `naiveJointExit`.
public struct JointExitLoss: HeadLoss, Equatable {
    /// What is learnt from labels.
    public let crossEntropy: CrossEntropyLoss
    /// What is learnt from the final exit.
    public let distillation: DistillationLoss

    /// Creates the loss.
    public init(
        crossEntropy: CrossEntropyLoss = CrossEntropyLoss(), distillation: DistillationLoss = DistillationLoss()
    ) {
        self.crossEntropy = crossEntropy
        self.distillation = distillation
    }

    /// The weights of the exits in the joint objective, `(i + 1) / sum_j (j + 1)`: later exits count more; they sum to 1.
    ///
    /// They matter where exits share parameters, a penalty or a bound on the gradient's norm. Heads that share nothing
    /// have the same optima whatever the weights.
    ///
    /// - Returns: [count]
    public static func exitWeights(count: Int) -> [Double] {
        precondition(count > 0, "one or more exits")
        let sum = Double(count) * Double(count + 1) / 2
        return (0..<count).map { Double($0 + 1) / sum }
    }

    /// A softmax does not see a common shift; see ``HeadLoss``.
    public var ignoresCommonShift: Bool { true }

    /// The curvature of one row; see ``HeadLoss``.
    public func curvature(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, classes: Int
    ) -> LossSum {
        var sum = crossEntropy.curvature(logits: logits, targets: targets, row: row, scale: scale, classes: classes)
        sum.loss +=
            distillation.curvature(
                logits: logits, targets: targets, row: row, scale: sum.weight, classes: classes
            ).loss
        return sum
    }

    /// The loss of one row; see ``HeadLoss``.
    public func addRow(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, scratch: LossScratch
    ) -> LossSum {
        var sum = crossEntropy.addRow(logits: logits, targets: targets, row: row, scale: scale, scratch: scratch)
        // The weight of a row in the cross-entropy is its weight times that of its class.
        sum.loss +=
            distillation.addRow(logits: logits, targets: targets, row: row, scale: sum.weight, scratch: scratch).loss
        return sum
    }
}
