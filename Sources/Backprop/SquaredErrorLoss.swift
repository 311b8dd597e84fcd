/// The squared error of a head with one output, for numbers to regress on: `(z - y)²`, gradient `2 (z - y)`.
///
/// A row counts with weight 1, so the mean is that of `torch.nn.MSELoss`; there is no factor 1/2.
///
/// - Reference: `naiveSquaredError`.
public struct SquaredErrorLoss: HeadLoss, Equatable {
    /// Creates the loss.
    public init() {}

    /// A number that grows is another number; see ``HeadLoss``.
    public var ignoresCommonShift: Bool { false }

    /// The curvature of one row, 2 everywhere; see ``HeadLoss``.
    public func curvature(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, classes: Int
    ) -> LossSum {
        LossSum(loss: 2 * scale, weight: scale)
    }

    /// The loss of one row; see ``HeadLoss``.
    public func addRow(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, scratch: LossScratch
    ) -> LossSum {
        precondition(scratch.classes == 1, "a regression head has one output")
        let error = Double(logits[0]) - Double(targets.values[row])
        scratch.gradient[0] += scale * 2 * error
        return LossSum(loss: scale * error * error, weight: scale)
    }
}
