/// How far a head is from a teacher, in nats: `T² KL(teacher || head)`, both softened by a temperature T.
///
/// With `p = softmax(z / T)` and `q = softmax(t / T)` of the teacher's logits t, a row's loss is
/// `T² sum_k q_k (ln q_k - ln p_k)`, its gradient `T (p - q)`; it counts with weight 1. The factor T² keeps the size of
/// the gradient when the temperature changes (Hinton, Vinyals and Dean, 2015, section 2). It is
/// `T**2 * kl_div(log_softmax(z / T), softmax(t / T), reduction="batchmean")` in PyTorch.
///
/// The teacher is a constant: no gradient flows to it. The logarithms never overflow, whatever the logits; where head
/// and teacher all but agree, the loss carries the rounding of Double logarithms and may be below zero by that much.
///
/// - Reference: `naiveDistillation`.
public struct DistillationLoss: HeadLoss, Equatable {
    /// What both sides' logits are divided by, above 0.
    public let temperature: Double

    /// Creates the loss.
    public init(temperature: Double = 1) {
        precondition(temperature > 0 && temperature.isFinite, "a temperature is above 0")
        self.temperature = temperature
    }

    /// A softmax does not see a common shift; see ``HeadLoss``.
    public var ignoresCommonShift: Bool { true }

    /// The curvature of one row; see ``HeadLoss``. The T² in front of the divergence and the T⁻² of the softened logits
    /// cancel.
    public func curvature(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, classes: Int
    ) -> LossSum {
        LossSum(
            loss: scale * softmaxCurvature(logits, temperature: temperature, classes: classes), weight: scale)
    }

    /// The loss of one row; see ``HeadLoss``.
    public func addRow(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, scratch: LossScratch
    ) -> LossSum {
        let classes = scratch.classes
        precondition(targets.teacherLogits.count >= (row + 1) * classes, "the teacher's \(classes) logits for each row")
        let loss = targets.teacherLogits.withUnsafeBufferPointer { buffer in
            let teacher = buffer.baseAddress! + row * classes
            let (top, logSum) = scratch.softmax(logits, temperature: temperature, into: scratch.first)
            let (teacherTop, teacherLogSum) = scratch.softmax(teacher, temperature: temperature, into: scratch.second)
            var divergence = 0.0
            for index in 0..<classes {
                let own = (Double(logits[index]) - top) / temperature - logSum
                let wanted = (Double(teacher[index]) - teacherTop) / temperature - teacherLogSum
                divergence += scratch.second[index] * (wanted - own)
                scratch.gradient[index] += scale * temperature * (scratch.first[index] - scratch.second[index])
            }
            return temperature * temperature * divergence
        }
        return LossSum(loss: scale * loss, weight: scale)
    }
}
