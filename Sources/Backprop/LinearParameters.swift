import ExitHeads

/// The parameters of a linear head on standardised features, as one vector that an optimiser works on.
///
/// The layout is [classes, width + 1]: each class has its weights, then its bias.
public struct LinearParameters: Equatable, Sendable {
    /// [classes * (width + 1)]
    public var values: [Double]
    /// How many classes there are.
    public let classCount: Int
    /// How many features there are.
    public let width: Int

    /// All zero: the start of training, at which every class is equally probable.
    public init(classCount: Int, width: Int) {
        precondition(classCount > 0 && width > 0, "a head has classes and features")
        self.classCount = classCount
        self.width = width
        values = Array(repeating: 0, count: classCount * (width + 1))
    }

    /// The parameters of a saved head, on features standardised by `standardization`.
    ///
    /// Features that do not vary keep no weight of their own; what they contribute is in the bias.
    public init(_ head: LinearHead, standardization: Standardization) {
        precondition(head.width == standardization.width, "head and features of the same width")
        self.init(classCount: head.classCount, width: head.width)
        for row in 0..<classCount {
            var bias = Double(head.bias[row])
            for column in 0..<width {
                let weight = Double(head.weight[row * width + column])
                bias += weight * Double(standardization.mean[column])
                let scale = Double(standardization.inverseDeviation[column])
                values[row * (width + 1) + column] = scale > 0 ? weight / scale : 0
            }
            values[row * (width + 1) + width] = bias
        }
    }

    /// The head on features as they come, with the standardisation folded in.
    public func head(standardization: Standardization) -> LinearHead {
        var weight = [Float](repeating: 0, count: classCount * width)
        var bias = [Float](repeating: 0, count: classCount)
        for row in 0..<classCount {
            var shift = 0.0
            for column in 0..<width {
                let folded =
                    values[row * (width + 1) + column] * Double(standardization.inverseDeviation[column])
                weight[row * width + column] = Float(folded)
                shift += folded * Double(standardization.mean[column])
            }
            bias[row] = Float(values[row * (width + 1) + width] - shift)
        }
        return LinearHead(weight: weight, bias: bias)
    }

    /// Where the weights stand, which penalties are for; biases are left out.
    var weights: DecayedParameters {
        DecayedParameters((0..<classCount).map { ($0 * (width + 1))..<($0 * (width + 1) + width) })
    }

    /// The sum of the squared weights, biases left out.
    var squaredWeights: Double { weights.squaredSum(of: values) }
}
