import Foundation

/// Loss and gradient of a linear head, written to be read: the reference that the blocked kernels are tested against.
///
/// The objective is `1/N sum_n -ln softmax(W x_n + b)[y_n] + l2/2 sum W²`, all in Double, one sample at a time.
///
/// - Parameters:
///   - features: [rows][width], standardised.
///   - labels: [rows]
///   - parameters: weights and biases.
///   - l2: the strength of the penalty on the weights; biases are free.
/// - Returns: the objective, in nats, and its gradient in the layout of the parameters.
func naiveLinearHeadGradient(
    features: [[Double]], labels: [Int32], parameters: LinearParameters, l2: Double
) -> (value: Double, gradient: [Double]) {
    let width = parameters.width
    var value = 0.0
    var gradient = [Double](repeating: 0, count: parameters.values.count)
    for (row, label) in zip(features, labels) {
        let logits = (0..<parameters.classCount).map { index in
            let start = index * (width + 1)
            return (0..<width).reduce(parameters.values[start + width]) {
                $0 + parameters.values[start + $1] * row[$1]
            }
        }
        let top = logits.max()!
        let sum = logits.reduce(0) { $0 + exp($1 - top) }
        value += top + log(sum) - logits[Int(label)]
        for index in 0..<parameters.classCount {
            let residual = exp(logits[index] - top) / sum - (Int(label) == index ? 1 : 0)
            let start = index * (width + 1)
            for column in 0..<width { gradient[start + column] += residual * row[column] }
            gradient[start + width] += residual
        }
    }
    let count = Double(features.count)
    value = value / count + l2 / 2 * parameters.squaredWeights
    for index in gradient.indices {
        let isBias = index % (width + 1) == width
        gradient[index] = gradient[index] / count + (isBias ? 0 : l2 * parameters.values[index])
    }
    return (value, gradient)
}
