import ExitHeads
import Foundation

/// Loss and gradient of a hidden head, written to be read: the reference that the blocked kernels are tested against.
///
/// The objective is `1/N sum_n -ln softmax(logits_n)[y_n] + l2/2 (sum W₁² + sum W₂²)`, all in Double, one sample at a time.
///
/// - Parameters:
///   - features: [rows][width], standardised where the head has no LayerNorm.
///   - labels: [rows]
///   - parameters: weights, biases, LayerNorm.
///   - l2: the strength of the penalty on the weights of both layers; biases and LayerNorm are free.
///   - masks: [rows][hidden], what dropout multiplies hidden units by: 0 or 1 / (1 - probability); nil without dropout.
/// - Returns: the objective, in nats, and its gradient in the layout of the parameters.
/// - Complexity: O(rows * hidden * (width + classes)).
func naiveHiddenHeadGradient(
    features: [[Double]], labels: [Int32], parameters: HiddenParameters, l2: Double, masks: [[Double]]? = nil
) -> (value: Double, gradient: [Double]) {
    var value = 0.0
    var gradient = [Double](repeating: 0, count: parameters.values.count)
    for index in features.indices {
        let row = NaiveHiddenRow(features[index], mask: masks?[index], parameters: parameters)
        let loss = naiveCrossEntropy(logits: row.logits, label: Int(labels[index]))
        value += loss.value
        row.addGradient(logitGradient: loss.gradient, parameters: parameters, into: &gradient)
    }
    let count = Double(features.count)
    value = value / count + l2 / 2 * parameters.squaredWeights
    for index in gradient.indices {
        let isWeight = parameters.architecture.isWeight(index)
        gradient[index] = gradient[index] / count + (isWeight ? l2 * parameters.values[index] : 0)
    }
    return (value, gradient)
}

/// Cross-entropy of one sample in nats, and its gradient with respect to the logits [classes], `softmax - onehot`.
func naiveCrossEntropy(logits: [Double], label: Int) -> (value: Double, gradient: [Double]) {
    let top = logits.max()!
    let sum = logits.reduce(0) { $0 + exp($1 - top) }
    let gradient = logits.indices.map { exp(logits[$0] - top) / sum - ($0 == label ? 1 : 0) }
    return (top + log(sum) - logits[label], gradient)
}

/// One sample's way through a hidden head, in Double, with everything that the way back needs.
struct NaiveHiddenRow {
    /// [width]: the features after LayerNorm's division, before its scale and shift; without LayerNorm the features.
    var normalized: [Double]
    /// [width]: what the hidden layer reads.
    var input: [Double]
    /// [hidden]: `W₁ input + b₁`.
    var sums: [Double]
    /// [hidden]: the activation at `sums`.
    var activated: [Double]
    /// [hidden]: what dropout multiplies by.
    var mask: [Double]
    /// [hidden]: `activated` times `mask`.
    var dropped: [Double]
    /// [classes]: `W₂ dropped + b₂`.
    var logits: [Double]

    /// The way forward.
    ///
    /// - Parameters:
    ///   - features: [width]
    ///   - mask: [hidden]; nil for no dropout.
    init(_ features: [Double], mask: [Double]?, parameters: HiddenParameters) {
        let (architecture, values) = (parameters.architecture, parameters.values)
        normalized = features
        input = features
        if architecture.hasLayerNorm {
            normalized = HiddenHead.LayerNorm.normalized(features)
            let (scale, shift) = (Array(values[architecture.scale]), Array(values[architecture.shift]))
            input = normalized.indices.map { [normalized] in scale[$0] * normalized[$0] + shift[$0] }
        }
        sums = Self.affine(Array(values[architecture.hiddenWeight]), Array(values[architecture.hiddenBias]), input)
        activated = sums.map { architecture.activation.value(at: $0) }
        let factors = mask ?? Array(repeating: 1, count: sums.count)
        self.mask = factors
        dropped = zip(activated, factors).map { $0 * $1 }
        logits = Self.affine(Array(values[architecture.weight]), Array(values[architecture.bias]), dropped)
    }

    /// The way back: adds what the sample contributes to the gradient of all parameters.
    ///
    /// - Parameters:
    ///   - logitGradient: [classes], the derivative of the sample's loss with respect to its logits.
    ///   - gradient: in the layout of the parameters.
    func addGradient(logitGradient: [Double], parameters: HiddenParameters, into gradient: inout [Double]) {
        let (architecture, values) = (parameters.architecture, parameters.values)
        var droppedGradient = [Double](repeating: 0, count: dropped.count)
        for (row, residual) in logitGradient.enumerated() {
            gradient[architecture.bias.lowerBound + row] += residual
            for unit in dropped.indices {
                let index = architecture.weight.lowerBound + row * dropped.count + unit
                gradient[index] += residual * dropped[unit]
                droppedGradient[unit] += residual * values[index]
            }
        }
        var inputGradient = [Double](repeating: 0, count: input.count)
        for unit in dropped.indices {
            let slope = architecture.activation.slope(at: sums[unit], value: activated[unit])
            let sumGradient = droppedGradient[unit] * mask[unit] * slope
            gradient[architecture.hiddenBias.lowerBound + unit] += sumGradient
            for column in input.indices {
                let index = architecture.hiddenWeight.lowerBound + unit * input.count + column
                gradient[index] += sumGradient * input[column]
                inputGradient[column] += sumGradient * values[index]
            }
        }
        guard architecture.hasLayerNorm else { return }
        // The features are frozen: the way back ends at LayerNorm's own parameters.
        for column in input.indices {
            gradient[architecture.scale.lowerBound + column] += inputGradient[column] * normalized[column]
            gradient[architecture.shift.lowerBound + column] += inputGradient[column]
        }
    }

    /// `W x + b`: weight [rows, width], bias [rows], input [width].
    private static func affine(_ weight: [Double], _ bias: [Double], _ input: [Double]) -> [Double] {
        bias.indices.map { row in
            input.indices.reduce(bias[row]) { $0 + weight[row * input.count + $1] * input[$1] }
        }
    }
}
