/// A classifier with one hidden layer on the features of one exit:
/// `logits = W₂ activation(W₁ norm(x) + b₁) + b₂`, the layers in the layout of `torch.nn.Linear`.
///
/// `norm` is ``LayerNorm``, or nothing. Dropout acts in training only, so a head knows nothing of it.
public struct HiddenHead: Equatable, Sendable {
    /// Brings the features of every row to mean 0 and variance 1 by themselves (divisor: their number), then scales and
    /// shifts each feature: `torch.nn.LayerNorm`.
    ///
    /// - Reference: Ba, Kiros and Hinton (2016), "Layer normalization".
    public struct LayerNorm: Equatable, Sendable {
        /// What is added to the variance under the root, so that rows of equal features give 0: PyTorch's default.
        public static let epsilon = 1e-5

        /// [width]
        public var scale: [Float]
        /// [width]
        public var shift: [Float]

        /// Creates a normalisation.
        public init(scale: [Float], shift: [Float]) {
            precondition(!scale.isEmpty && scale.count == shift.count, "a scale and a shift for each feature")
            self.scale = scale
            self.shift = shift
        }

        /// The normalised row, before scale and shift, in Double.
        ///
        /// - Parameter features: [width]
        /// - Returns: [width]
        /// - Complexity: O(width).
        public static func normalized(_ features: some Collection<Double>) -> [Double] {
            let mean = features.reduce(0, +) / Double(features.count)
            let variance = features.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(features.count)
            let inverseDeviation = 1 / (variance + epsilon).squareRoot()
            return features.map { ($0 - mean) * inverseDeviation }
        }
    }

    /// What is done to the features first; nil for nothing.
    public var layerNorm: LayerNorm?
    /// [hidden, width], row-major.
    public var hiddenWeight: [Float]
    /// [hidden]
    public var hiddenBias: [Float]
    /// What hidden units do with their sums.
    public var activation: Activation
    /// [classes, hidden], row-major.
    public var weight: [Float]
    /// [classes]
    public var bias: [Float]

    /// Creates a head.
    public init(
        layerNorm: LayerNorm? = nil, hiddenWeight: [Float], hiddenBias: [Float], activation: Activation,
        weight: [Float], bias: [Float]
    ) {
        precondition(
            !hiddenBias.isEmpty && !hiddenWeight.isEmpty && hiddenWeight.count % hiddenBias.count == 0,
            "a weight row for each hidden unit")
        precondition(!bias.isEmpty && weight.count == bias.count * hiddenBias.count, "a weight row for each class")
        precondition(
            layerNorm.map { $0.scale.count * hiddenBias.count == hiddenWeight.count } ?? true,
            "a normalisation of the head's features")
        self.layerNorm = layerNorm
        self.hiddenWeight = hiddenWeight
        self.hiddenBias = hiddenBias
        self.activation = activation
        self.weight = weight
        self.bias = bias
    }

    /// How many classes it tells apart.
    public var classCount: Int { bias.count }

    /// How many hidden units it has.
    public var hiddenCount: Int { hiddenBias.count }

    /// How many features it reads.
    public var width: Int { hiddenWeight.count / hiddenBias.count }

    /// Whether all parameters are finite numbers.
    public var isFinite: Bool {
        let parameters = [
            layerNorm?.scale ?? [], layerNorm?.shift ?? [], hiddenWeight, hiddenBias, weight, bias,
        ]
        return parameters.allSatisfy { $0.allSatisfy(\.isFinite) }
    }

    /// The logits of one sample, in plain Swift: the reference for the blocked kernels, and what runs in apps
    /// without BLAS.
    ///
    /// All is computed in Double and rounded to Float32 once.
    ///
    /// - Parameter features: [width]
    /// - Returns: [classes]
    /// - Complexity: O(hidden * (width + classes)).
    public func logits(_ features: UnsafeBufferPointer<Float>) -> [Float] {
        precondition(features.count == width, "the head reads \(width) features")
        var input = features.map { Double($0) }
        if let layerNorm {
            input = LayerNorm.normalized(input)
            for index in input.indices {
                input[index] = Double(layerNorm.scale[index]) * input[index] + Double(layerNorm.shift[index])
            }
        }
        let hidden = Self.affine(hiddenWeight, hiddenBias, input).map { activation.value(at: $0) }
        return Self.affine(weight, bias, hidden).map { Float($0) }
    }

    /// The logits of one sample; see the version on a buffer.
    public func logits(_ features: [Float]) -> [Float] {
        features.withUnsafeBufferPointer { logits($0) }
    }

    /// `W x + b` in Double: weight [rows, width], bias [rows], input [width].
    private static func affine(_ weight: [Float], _ bias: [Float], _ input: [Double]) -> [Double] {
        let width = input.count
        return weight.withUnsafeBufferPointer { weight in
            input.withUnsafeBufferPointer { input in
                bias.indices.map { row in
                    Double(bias[row])
                        + rowProduct(weight.baseAddress! + row * width, input.baseAddress!, count: width)
                }
            }
        }
    }

    /// The head on features before a standardisation `z = (x - mean) * inverseDeviation`, which is folded into the hidden
    /// layer: weight `W₁ diag(inverseDeviation)`, bias `b₁ - W₁ diag(inverseDeviation) mean`.
    ///
    /// A head with ``LayerNorm`` has no such form, since each row is divided by a deviation of its own: asking for it is
    /// a caller's bug. Such heads are trained on features as they come.
    ///
    /// - Parameters:
    ///   - mean: [width]
    ///   - inverseDeviation: [width]; 0 for a feature that is to be ignored.
    /// - Complexity: O(hidden * width).
    public func foldingStandardization(mean: [Float], inverseDeviation: [Float]) -> HiddenHead {
        precondition(layerNorm == nil, "no standardisation can be folded into a head with LayerNorm")
        precondition(mean.count == width && inverseDeviation.count == width, "a shift and a scale for each feature")
        var folded = self
        for unit in 0..<hiddenCount {
            var shift = 0.0
            for column in 0..<width {
                let weight = Double(hiddenWeight[unit * width + column]) * Double(inverseDeviation[column])
                folded.hiddenWeight[unit * width + column] = Float(weight)
                shift += weight * Double(mean[column])
            }
            folded.hiddenBias[unit] = Float(Double(hiddenBias[unit]) - shift)
        }
        return folded
    }

    /// The head on the features before a projection `z = P (x - offset)`, for heads without ``LayerNorm``.
    ///
    /// - Parameters:
    ///   - projection: [width, fullWidth], row-major.
    ///   - offset: [fullWidth]
    /// - Complexity: O(hidden * width * fullWidth).
    public func unprojected(projection: [Float], offset: [Float]) -> HiddenHead {
        precondition(layerNorm == nil, "no projection can be multiplied into a head with LayerNorm")
        let layer = LinearHead(weight: hiddenWeight, bias: hiddenBias).unprojected(
            projection: projection, offset: offset)
        return HiddenHead(
            hiddenWeight: layer.weight, hiddenBias: layer.bias, activation: activation, weight: weight, bias: bias)
    }
}
