import Foundation

/// The loss of one row, its gradient with respect to the logits [classes], and the weight it counts with.
typealias NaiveRowLoss = (loss: Double, gradient: [Double], weight: Double)

/// `-sum_k targets[k] ln softmax(logits / temperature)[k]` and its gradient, written to be read: the chain rule for each
/// class by itself, `d(-ln p_k)/dz_j = (p_j - [j = k]) / T`.
///
/// - Complexity: O(classes²).
private func naiveSoftTargets(
    logits: [Double], targets: [Double], temperature: Double = 1
) -> (loss: Double, gradient: [Double]) {
    let scaled = logits.map { $0 / temperature }
    let logProbabilities = naiveLogSoftmax(scaled)
    var loss = 0.0
    var gradient = [Double](repeating: 0, count: logits.count)
    for (index, target) in targets.enumerated() {
        loss -= target * logProbabilities[index]
        for other in logits.indices {
            gradient[other] += target * (exp(logProbabilities[other]) - (other == index ? 1 : 0)) / temperature
        }
    }
    return (loss, gradient)
}

private func naiveLogSoftmax(_ logits: [Double]) -> [Double] {
    let top = logits.max()!
    let logSum = top + log(logits.reduce(0) { $0 + exp($1 - top) })
    return logits.map { $0 - logSum }
}

/// Cross-entropy of a row with class weights [classes] and label smoothing: the reference for ``CrossEntropyLoss``.
func naiveWeightedCrossEntropy(
    logits: [Double], label: Int, classWeights: [Double], smoothing: Double
) -> NaiveRowLoss {
    let targets = logits.indices.map { index in
        (index == label ? (1 - smoothing) * classWeights[index] : 0)
            + smoothing * classWeights[index] / Double(logits.count)
    }
    let (loss, gradient) = naiveSoftTargets(logits: logits, targets: targets)
    return (loss, gradient, classWeights[label])
}

/// `T² KL(teacher || head)` of a row: the reference for ``DistillationLoss``.
func naiveDistillation(logits: [Double], teacher: [Double], temperature: Double) -> NaiveRowLoss {
    let logTargets = naiveLogSoftmax(teacher.map { $0 / temperature })
    let targets = logTargets.map { exp($0) }
    let (loss, gradient) = naiveSoftTargets(logits: logits, targets: targets, temperature: temperature)
    let entropy = -zip(targets, logTargets).reduce(0) { $0 + $1.0 * $1.1 }
    let factor = temperature * temperature
    return (factor * (loss - entropy), gradient.map { factor * $0 }, 1)
}

/// Cross-entropy plus divergence from the final exit, of a row: the reference for ``JointExitLoss``.
func naiveJointExit(
    logits: [Double], label: Int, teacher: [Double], classWeights: [Double], smoothing: Double, temperature: Double
) -> NaiveRowLoss {
    let own = naiveWeightedCrossEntropy(
        logits: logits, label: label, classWeights: classWeights, smoothing: smoothing)
    let taught = naiveDistillation(logits: logits, teacher: teacher, temperature: temperature)
    return (
        own.loss + own.weight * taught.loss, zip(own.gradient, taught.gradient).map { $0 + own.weight * $1 }, own.weight
    )
}

/// The squared error of a row: the reference for ``SquaredErrorLoss``.
func naiveSquaredError(output: Double, value: Double) -> NaiveRowLoss {
    ((output - value) * (output - value), [2 * (output - value)], 1)
}
