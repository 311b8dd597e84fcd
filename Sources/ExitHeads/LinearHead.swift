/// A linear classifier on the features of one exit: `logits = W x + b`, the layout of `torch.nn.Linear`.
public struct LinearHead: Equatable, Sendable {
    /// [classes, width], row-major.
    public var weight: [Float]
    /// [classes]
    public var bias: [Float]

    /// Creates a head.
    public init(weight: [Float], bias: [Float]) {
        precondition(!bias.isEmpty && weight.count % bias.count == 0, "a weight row for each class")
        self.weight = weight
        self.bias = bias
    }

    /// How many classes it tells apart.
    public var classCount: Int { bias.count }

    /// How many features it reads.
    public var width: Int { weight.count / bias.count }

    /// Whether all parameters are finite numbers.
    public var isFinite: Bool { weight.allSatisfy(\.isFinite) && bias.allSatisfy(\.isFinite) }

    /// The logits of one sample, in plain Swift: the reference for the blocked kernels, and what runs in apps
    /// without BLAS.
    ///
    /// Products are summed in Double, in eight lanes, and rounded to Float32 once.
    ///
    /// - Parameter features: [width]
    /// - Returns: [classes]
    /// - Complexity: O(classes * width).
    public func logits(_ features: UnsafeBufferPointer<Float>) -> [Float] {
        let width = width
        precondition(features.count == width && width > 0, "the head reads \(width) features")
        return weight.withUnsafeBufferPointer { weight in
            bias.indices.map { row in
                Float(
                    Double(bias[row])
                        + rowProduct(weight.baseAddress! + row * width, features.baseAddress!, count: width))
            }
        }
    }

    /// The logits of one sample; see the version on a buffer.
    public func logits(_ features: [Float]) -> [Float] {
        features.withUnsafeBufferPointer { logits($0) }
    }

    /// The head on the features before a projection `z = P (x - offset)`: weight `W P`, bias `b - W P offset`.
    ///
    /// - Parameters:
    ///   - projection: [width, fullWidth], row-major.
    ///   - offset: [fullWidth]
    /// - Complexity: O(classes * width * fullWidth).
    public func unprojected(projection: [Float], offset: [Float]) -> LinearHead {
        let fullWidth = offset.count
        precondition(projection.count == width * fullWidth, "a projection onto the head's \(width) features")
        var fullWeight = [Float](repeating: 0, count: classCount * fullWidth)
        var fullBias = bias
        var row = [Double](repeating: 0, count: fullWidth)
        for index in 0..<classCount {
            for column in 0..<fullWidth { row[column] = 0 }
            for component in 0..<width {
                let factor = Double(weight[index * width + component])
                for column in 0..<fullWidth {
                    row[column] += factor * Double(projection[component * fullWidth + column])
                }
            }
            var shift = 0.0
            for column in 0..<fullWidth {
                fullWeight[index * fullWidth + column] = Float(row[column])
                shift += row[column] * Double(offset[column])
            }
            fullBias[index] = Float(Double(bias[index]) - shift)
        }
        return LinearHead(weight: fullWeight, bias: fullBias)
    }
}
