import ExitHeads
import Statistics

/// The parameters of a hidden head, as one vector that an optimiser works on.
///
/// The layout is, in the order in which a sample meets them: the scales and the shifts of LayerNorm [width] each (only
/// where there is one), hidden weights [hidden, width] and biases [hidden], weights [classes, hidden] and biases
/// [classes]; ``Architecture`` has the ranges.
public struct HiddenParameters: Equatable, Sendable {
    /// How a hidden head is built: all but the numbers.
    public struct Architecture: Codable, Equatable, Sendable {
        /// How many features there are.
        public let width: Int
        /// How many hidden units there are.
        public let hiddenCount: Int
        /// How many classes there are.
        public let classCount: Int
        /// What hidden units do with their sums.
        public let activation: Activation
        /// Whether the features of a row are normalised first.
        public let hasLayerNorm: Bool

        /// Describes a head.
        public init(width: Int, hiddenCount: Int, classCount: Int, activation: Activation, hasLayerNorm: Bool) {
            precondition(width > 0 && hiddenCount > 0 && classCount > 0, "a head has features, units and classes")
            self.width = width
            self.hiddenCount = hiddenCount
            self.classCount = classCount
            self.activation = activation
            self.hasLayerNorm = hasLayerNorm
        }

        /// LayerNorm's scales: [width], or empty.
        public var scale: Range<Int> { 0..<(hasLayerNorm ? width : 0) }
        /// LayerNorm's shifts: [width], or empty.
        public var shift: Range<Int> { scale.upperBound..<(2 * scale.upperBound) }
        /// [hidden, width]
        public var hiddenWeight: Range<Int> { shift.upperBound..<(shift.upperBound + hiddenCount * width) }
        /// [hidden]
        public var hiddenBias: Range<Int> { hiddenWeight.upperBound..<(hiddenWeight.upperBound + hiddenCount) }
        /// [classes, hidden]
        public var weight: Range<Int> { hiddenBias.upperBound..<(hiddenBias.upperBound + classCount * hiddenCount) }
        /// [classes]
        public var bias: Range<Int> { weight.upperBound..<(weight.upperBound + classCount) }
        /// How many parameters there are.
        public var parameterCount: Int { bias.upperBound }

        /// Where the weights stand, of both layers.
        var weights: DecayedParameters { DecayedParameters([hiddenWeight, weight]) }

        /// Whether a penalty or decay acts on a parameter: on the weights of both layers, and on nothing else.
        public func isWeight(_ index: Int) -> Bool { hiddenWeight.contains(index) || weight.contains(index) }
    }

    /// How the head is built.
    public let architecture: Architecture
    /// [parameterCount]
    public var values: [Double]

    /// Given parameters.
    ///
    /// - Parameter values: [parameterCount]
    public init(_ architecture: Architecture, values: [Double]) {
        precondition(values.count == architecture.parameterCount, "\(architecture.parameterCount) parameters")
        self.architecture = architecture
        self.values = values
    }

    /// Random parameters to start training from, distributed as in a new `torch.nn.Linear` (Kaiming uniform with a = √5):
    /// weights and biases uniform in ±1 / √inputs of their layer; a LayerNorm that changes nothing.
    ///
    /// Not guaranteed: the numbers PyTorch would draw.
    ///
    /// - Complexity: O(parameters).
    /// - Reference: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers".
    public init(_ architecture: Architecture, using generator: inout some RandomNumberGenerator) {
        self.architecture = architecture
        values = Array(repeating: 0, count: architecture.parameterCount)
        for index in architecture.scale { values[index] = 1 }
        let hiddenLayer = architecture.hiddenWeight.lowerBound..<architecture.hiddenBias.upperBound
        let lastLayer = architecture.weight.lowerBound..<architecture.bias.upperBound
        for (range, inputs) in [(hiddenLayer, architecture.width), (lastLayer, architecture.hiddenCount)] {
            let bound = 1 / Double(inputs).squareRoot()
            for index in range { values[index] = .random(in: -bound...bound, using: &generator) }
        }
    }

    /// Random parameters from a seed; see the version with a generator.
    public init(_ architecture: Architecture, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        self.init(architecture, using: &generator)
    }

    /// The parameters of a saved head.
    public init(_ head: HiddenHead) {
        architecture = Architecture(
            width: head.width, hiddenCount: head.hiddenCount, classCount: head.classCount,
            activation: head.activation, hasLayerNorm: head.layerNorm != nil)
        let parts = [
            head.layerNorm?.scale ?? [], head.layerNorm?.shift ?? [], head.hiddenWeight, head.hiddenBias, head.weight,
            head.bias,
        ]
        values = parts.flatMap { $0.map { Double($0) } }
    }

    /// The parameters of a saved head, on features standardised by `standardization`.
    ///
    /// Features that do not vary keep no weight of their own; what they contribute is in the biases. A head with LayerNorm
    /// has no such form: asking for it is a caller's bug.
    ///
    /// - Complexity: O(hidden * width).
    public init(_ head: HiddenHead, standardization: Standardization) {
        precondition(head.layerNorm == nil, "a head with LayerNorm takes features as they come")
        precondition(head.width == standardization.width, "head and features of the same width")
        self.init(head)
        for unit in 0..<head.hiddenCount {
            for column in 0..<head.width {
                let index = architecture.hiddenWeight.lowerBound + unit * head.width + column
                let weight = values[index]
                let scale = Double(standardization.inverseDeviation[column])
                values[architecture.hiddenBias.lowerBound + unit] += weight * Double(standardization.mean[column])
                values[index] = scale > 0 ? weight / scale : 0
            }
        }
    }

    /// The head with these parameters, rounded to Float32, for features as the parameters were trained on.
    public var head: HiddenHead {
        func floats(_ range: Range<Int>) -> [Float] { values[range].map { Float($0) } }
        return HiddenHead(
            layerNorm: architecture.hasLayerNorm
                ? HiddenHead.LayerNorm(scale: floats(architecture.scale), shift: floats(architecture.shift)) : nil,
            hiddenWeight: floats(architecture.hiddenWeight), hiddenBias: floats(architecture.hiddenBias),
            activation: architecture.activation, weight: floats(architecture.weight), bias: floats(architecture.bias))
    }

    /// The head on features as they come, with the standardisation folded in; for heads without LayerNorm.
    public func head(standardization: Standardization) -> HiddenHead {
        head.foldingStandardization(
            mean: standardization.mean, inverseDeviation: standardization.inverseDeviation)
    }

    /// The sum of the squared weights of both layers; biases and LayerNorm left out.
    var squaredWeights: Double { architecture.weights.squaredSum(of: values) }
}
