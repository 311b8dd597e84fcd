import ExitHeads
import Foundation
import LinearAlgebra
import Statistics

/// A hidden head in Float32, forward and backward over blocks of rows.
///
/// LayerNorm's scale and shift are multiplied into the hidden layer (`W₁ (γ x̂ + β) + b₁ = (W₁ diag(γ)) x̂ + (W₁ β + b₁)`),
/// so blocks meet them neither on the way forward nor back; the chain rule through that product is applied when gradients
/// are added up, in Double. The features are frozen, so no gradient reaches them.
///
/// - Reference: `naiveHiddenHeadGradient`, and `HiddenHead.logits` for the way forward.
struct HiddenHeadKernel: Sendable {
    let parameters: HiddenParameters
    /// [hidden, width], LayerNorm's scale multiplied in.
    private let hiddenWeight: [Float]
    /// [hidden], LayerNorm's shift multiplied in.
    private let hiddenBias: [Float]
    /// [classes, hidden]
    private let weight: [Float]
    /// [hidden, classes]: the same weights, for the way back.
    private let transposedWeight: [Float]
    /// [classes]
    private let bias: [Float]

    private var architecture: HiddenParameters.Architecture { parameters.architecture }

    /// Rounds parameters to Float32.
    ///
    /// - Complexity: O(parameters).
    init(_ parameters: HiddenParameters) {
        let (form, values) = (parameters.architecture, parameters.values)
        let (width, hidden, classes) = (form.width, form.hiddenCount, form.classCount)
        self.parameters = parameters
        var hiddenWeight = [Float](repeating: 0, count: hidden * width)
        var hiddenBias = values[form.hiddenBias].map { Float($0) }
        for unit in 0..<hidden {
            var bias = values[form.hiddenBias.lowerBound + unit]
            for column in 0..<width {
                let index = unit * width + column
                let value = values[form.hiddenWeight.lowerBound + index]
                hiddenWeight[index] = Float(form.hasLayerNorm ? value * values[form.scale.lowerBound + column] : value)
                if form.hasLayerNorm { bias += value * values[form.shift.lowerBound + column] }
            }
            hiddenBias[unit] = Float(bias)
        }
        let weight = values[form.weight].map { Float($0) }
        self.hiddenWeight = hiddenWeight
        self.hiddenBias = hiddenBias
        self.weight = weight
        transposedWeight = (0..<(hidden * classes)).map { weight[$0 % classes * hidden + $0 / classes] }
        bias = values[form.bias].map { Float($0) }
    }

    /// The logits of a block, for evaluation: no dropout, and nothing is kept for the way back.
    ///
    /// - Parameters:
    ///   - features: [rows, width], standardised where the parameters are for that; LayerNorm is applied here.
    ///   - rows: at most those that `scratch` has room for.
    /// - Returns: in `scratch.logits` [rows, classes].
    /// - Complexity: O(rows * hidden * (width + classes)).
    /// - Reference: `HiddenHead.logits`.
    func forward(_ features: UnsafePointer<Float>, rows: Int, scratch: HiddenScratch) {
        hiddenSums(of: features, rows: rows, scratch: scratch)
        architecture.activation.apply(to: scratch.hidden, count: rows * architecture.hiddenCount)
        finishForward(rows: rows, scratch: scratch)
    }

    /// The logits of a block in training; `scratch` keeps what ``backward(_:logitGradient:rows:scratch:into:)`` needs.
    ///
    /// - Parameters:
    ///   - features: [rows, width], as for ``forward(_:rows:scratch:)``.
    ///   - rows: at most those that `scratch` has room for.
    ///   - dropout: nil for none.
    ///   - firstRow: the number of the block's first row in the batch, which dropout depends on.
    /// - Returns: in `scratch.logits` [rows, classes].
    /// - Complexity: O(rows * hidden * (width + classes)).
    /// - Reference: `NaiveHiddenRow`.
    func forward(
        _ features: UnsafePointer<Float>, rows: Int, dropout: Dropout?, firstRow: Int, scratch: HiddenScratch
    ) {
        hiddenSums(of: features, rows: rows, scratch: scratch)
        let hidden = architecture.hiddenCount
        architecture.activation.apply(to: scratch.hidden, slopes: scratch.slopes, count: rows * hidden)
        if let dropout {
            for row in 0..<rows {
                let start = row * hidden
                dropout.apply(
                    to: scratch.hidden + start, and: scratch.slopes + start, row: firstRow + row, count: hidden)
            }
        }
        finishForward(rows: rows, scratch: scratch)
    }

    /// Adds the gradient of a block to `sum`, after the training form of `forward` on the same block.
    ///
    /// Products are in Float32; everything is added to `sum` in Double.
    ///
    /// - Parameters:
    ///   - features: [rows, width], those that went forward.
    ///   - logitGradient: [rows, classes], the derivative of the summed loss; `scratch.logits` may hold it.
    ///   - sum: [parameterCount], in the layout of the parameters.
    /// - Complexity: O(rows * hidden * (width + classes) + parameters).
    /// - Reference: `naiveHiddenHeadGradient`.
    func backward(
        _ features: UnsafePointer<Float>, logitGradient: UnsafePointer<Float>, rows: Int, scratch: HiddenScratch,
        into sum: UnsafeMutablePointer<Double>
    ) {
        let (form, hidden, classes) = (architecture, architecture.hiddenCount, architecture.classCount)
        BLAS.transposedMultiply(
            logitGradient, scratch.hidden, into: scratch.weightGradient, rows: classes, columns: hidden, inner: rows)
        add(scratch.weightGradient, count: classes * hidden, to: sum + form.weight.lowerBound)
        addColumns(logitGradient, rows: rows, columns: classes, to: sum + form.bias.lowerBound)

        transposedWeight.withUnsafeBufferPointer {
            BLAS.multiplyTransposed(
                logitGradient, $0.baseAddress!, into: scratch.sumGradient, rows: rows, columns: hidden, inner: classes)
        }
        for index in 0..<(rows * hidden) { scratch.sumGradient[index] *= scratch.slopes[index] }
        let input = scratch.normalized.map { UnsafePointer($0) } ?? features
        BLAS.transposedMultiply(
            scratch.sumGradient, input, into: scratch.hiddenWeightGradient, rows: hidden, columns: form.width,
            inner: rows)
        if form.hasLayerNorm {
            addThroughLayerNorm(rows: rows, scratch: scratch, to: sum)
        } else {
            add(
                scratch.hiddenWeightGradient, count: hidden * form.width, to: sum + form.hiddenWeight.lowerBound)
            addColumns(scratch.sumGradient, rows: rows, columns: hidden, to: sum + form.hiddenBias.lowerBound)
        }
    }

    /// The chain rule from the hidden layer that LayerNorm was multiplied into to its parts: with the gradients G of its
    /// weight and g of its bias, `∂W₁ = G diag(γ) + g βᵀ`, `∂γ = columns of W₁ ∘ G summed`, `∂β = W₁ᵀ g`, `∂b₁ = g`.
    private func addThroughLayerNorm(rows: Int, scratch: HiddenScratch, to sum: UnsafeMutablePointer<Double>) {
        let (form, width) = (architecture, architecture.width)
        var biasGradient = [Double](repeating: 0, count: form.hiddenCount)
        addColumns(scratch.sumGradient, rows: rows, columns: form.hiddenCount, to: &biasGradient)
        parameters.values.withUnsafeBufferPointer { values in
            let scale = values.baseAddress! + form.scale.lowerBound
            let shift = values.baseAddress! + form.shift.lowerBound
            for unit in 0..<form.hiddenCount {
                let own = biasGradient[unit]
                let start = form.hiddenWeight.lowerBound + unit * width
                let weights = values.baseAddress! + start
                let products = scratch.hiddenWeightGradient + unit * width
                for column in 0..<width {
                    let product = Double(products[column])
                    sum[start + column] += product * scale[column] + own * shift[column]
                    sum[form.scale.lowerBound + column] += weights[column] * product
                    sum[form.shift.lowerBound + column] += weights[column] * own
                }
                sum[form.hiddenBias.lowerBound + unit] += own
            }
        }
    }

    /// Leaves `W₁ norm(x) + b₁` in `scratch.hidden` [rows, hidden].
    private func hiddenSums(of features: UnsafePointer<Float>, rows: Int, scratch: HiddenScratch) {
        precondition(rows <= scratch.rows && scratch.architecture == architecture, "scratch for this head and block")
        let (width, hidden) = (architecture.width, architecture.hiddenCount)
        var input = features
        if let normalized = scratch.normalized {
            for row in 0..<rows {
                HiddenHead.LayerNorm.normalize(features + row * width, into: normalized + row * width, width: width)
            }
            input = UnsafePointer(normalized)
        }
        Self.affine(input, hiddenWeight, hiddenBias, into: scratch.hidden, rows: rows, inner: width, columns: hidden)
    }

    /// Leaves `W₂ hidden + b₂` in `scratch.logits` [rows, classes].
    private func finishForward(rows: Int, scratch: HiddenScratch) {
        Self.affine(
            scratch.hidden, weight, bias, into: scratch.logits, rows: rows, inner: architecture.hiddenCount,
            columns: architecture.classCount)
    }

    /// `result = input · weightᵀ + bias`: input [rows, inner], weight [columns, inner], bias [columns].
    private static func affine(
        _ input: UnsafePointer<Float>, _ weight: [Float], _ bias: [Float], into result: UnsafeMutablePointer<Float>,
        rows: Int, inner: Int, columns: Int
    ) {
        bias.withUnsafeBufferPointer { bias in
            for row in 0..<rows { (result + row * columns).update(from: bias.baseAddress!, count: columns) }
        }
        weight.withUnsafeBufferPointer {
            BLAS.multiplyTransposed(
                input, $0.baseAddress!, into: result, rows: rows, columns: columns, inner: inner, beta: 1)
        }
    }

    private func add(_ source: UnsafePointer<Float>, count: Int, to target: UnsafeMutablePointer<Double>) {
        for index in 0..<count { target[index] += Double(source[index]) }
    }

    /// Adds the sum of the rows of `source` [rows, columns] to `target` [columns].
    private func addColumns(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, to target: UnsafeMutablePointer<Double>
    ) {
        for row in 0..<rows {
            for column in 0..<columns { target[column] += Double(source[row * columns + column]) }
        }
    }
}

extension HiddenHeadKernel {
    /// The mean cross-entropy of rows plus the penalty `l2/2 (sum W₁² + sum W₂²)`, in nats, and its gradient in the layout
    /// of the parameters.
    ///
    /// Products are in Float32 within a block; sums over blocks are in Double, in block order within a chunk and in
    /// chunk order over chunks, whatever the number of threads. Another partition may differ in rounding, but has the same
    /// dropout.
    ///
    /// - Parameters:
    ///   - features: the rows of one step.
    ///   - labels: [rows], in 0..<classes.
    ///   - standardization: what rows are standardised by first; nil for not at all.
    ///   - dropout: nil for none.
    ///   - partition: of the rows; by default what suits the width.
    /// - Complexity: O(rows * hidden * (width + classes)) time; each thread needs a ``HiddenScratch``, each chunk Double
    ///   numbers for all parameters.
    /// - Reference: `naiveHiddenHeadGradient`.
    func objective(
        on features: some FeatureRows, labels: [Int32], standardization: Standardization?, l2: Double,
        dropout: Dropout?, threads: Int, partition: RowPartition? = nil
    ) -> LinearHeadObjective.Value {
        let form = parameters.architecture
        precondition(features.rowCount == labels.count && !labels.isEmpty, "a label for each row")
        precondition(features.width == form.width, "the head reads \(form.width) features")
        let partition = partition ?? RowPartition(rowCount: labels.count, width: form.width)
        precondition(partition.rowCount == labels.count, "a partition of these rows")
        let chunks = Parallel.map(partition.chunkCount, threads: threads) { chunk -> (loss: Double, sum: [Double]) in
            var loss = 0.0
            var sum = [Double](repeating: 0, count: form.parameterCount)
            let scratch = HiddenScratch(rows: partition.blockRows, architecture: form)
            partition.forEachBlock(ofChunk: chunk) { rows in
                features.copy(rows, into: scratch.features)
                standardization?.apply(to: scratch.features, rows: rows.count)
                forward(
                    scratch.features, rows: rows.count, dropout: dropout, firstRow: rows.lowerBound, scratch: scratch)
                labels.withUnsafeBufferPointer {
                    loss += SoftmaxCrossEntropy.forwardBackward(
                        logits: scratch.logits, labels: $0.baseAddress! + rows.lowerBound, rows: rows.count,
                        classes: form.classCount, stride: form.classCount, offset: 0)
                }
                backward(
                    scratch.features, logitGradient: scratch.logits, rows: rows.count, scratch: scratch, into: &sum)
            }
            return (loss, sum)
        }
        var loss = 0.0
        var gradient = [Double](repeating: 0, count: form.parameterCount)
        for chunk in chunks {
            loss += chunk.loss
            for index in gradient.indices { gradient[index] += chunk.sum[index] }
        }
        let scale = 1 / Double(labels.count)
        for index in gradient.indices {
            gradient[index] = gradient[index] * scale + (form.isWeight(index) ? l2 * parameters.values[index] : 0)
        }
        return .init(value: loss * scale + l2 / 2 * parameters.squaredWeights, gradient: gradient)
    }
}

/// Inverted dropout: in training, each hidden unit of each row is set to 0 with some probability, and multiplied by
/// `1 / (1 - probability)` otherwise, so that its mean stays.
///
/// Which units stay depends on seed, step, row and unit, and on nothing else: not on threads, nor on blocks.
///
/// - Reference: Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
struct Dropout: Equatable, Sendable {
    /// In 0..<1.
    let probability: Double
    let seed: UInt64
    /// The number of the optimiser's step.
    let step: Int

    init(probability: Double, seed: UInt64, step: Int) {
        precondition((0..<1).contains(probability), "dropout leaves something")
        self.probability = probability
        self.seed = seed
        self.step = step
    }

    /// What the units of a row are multiplied by: 0 or `1 / (1 - probability)`.
    ///
    /// - Parameters:
    ///   - row: its number in the batch of the step.
    ///   - count: how many units there are.
    func factors(row: Int, count: Int) -> [Float] {
        var factors = [Float](repeating: 1, count: count)
        var again = factors
        apply(to: &factors, and: &again, row: row, count: count)
        return factors
    }

    /// Multiplies the units of a row and their slopes.
    ///
    /// - Parameters:
    ///   - units: [count]
    ///   - slopes: [count]
    /// - Complexity: O(count).
    func apply(
        to units: UnsafeMutablePointer<Float>, and slopes: UnsafeMutablePointer<Float>, row: Int, count: Int
    ) {
        let own = SplitMix64.hash(seed: SplitMix64.hash(seed: seed, id: UInt64(step)), id: UInt64(row))
        // Unit u has the u-th number of the row's generator, which is a hash of (own, u).
        var generator = SplitMix64(seed: own)
        let dropped = UInt64(probability * 0x1p64)
        let scale = Float(1 / (1 - probability))
        for index in 0..<count {
            let factor = generator.next() < dropped ? 0 : scale
            units[index] *= factor
            slopes[index] *= factor
        }
    }
}

/// The memory one thread needs for a block on its way through a hidden head and back, allocated once.
final class HiddenScratch {
    /// How many rows there is room for.
    let rows: Int
    let architecture: HiddenParameters.Architecture
    /// [rows, width]
    let features: UnsafeMutablePointer<Float>
    /// [rows, width]: normalised features; nil without LayerNorm.
    let normalized: UnsafeMutablePointer<Float>?
    /// [rows, hidden]: what the last layer reads, after activation and dropout.
    let hidden: UnsafeMutablePointer<Float>
    /// [rows, hidden]: the slopes of the activation, times what dropout multiplies by.
    let slopes: UnsafeMutablePointer<Float>
    /// [rows, hidden]: the gradient with respect to the sums that the activation reads.
    let sumGradient: UnsafeMutablePointer<Float>
    /// [rows, classes]
    let logits: UnsafeMutablePointer<Float>
    /// [hidden, width]
    let hiddenWeightGradient: UnsafeMutablePointer<Float>
    /// [classes, hidden]
    let weightGradient: UnsafeMutablePointer<Float>

    init(rows: Int, architecture: HiddenParameters.Architecture) {
        let (width, units, classes) = (architecture.width, architecture.hiddenCount, architecture.classCount)
        self.rows = rows
        self.architecture = architecture
        features = .allocate(capacity: rows * width)
        normalized = architecture.hasLayerNorm ? .allocate(capacity: rows * width) : nil
        hidden = .allocate(capacity: rows * units)
        slopes = .allocate(capacity: rows * units)
        sumGradient = .allocate(capacity: rows * units)
        logits = .allocate(capacity: rows * classes)
        hiddenWeightGradient = .allocate(capacity: units * width)
        weightGradient = .allocate(capacity: classes * units)
    }

    deinit {
        features.deallocate()
        normalized?.deallocate()
        hidden.deallocate()
        slopes.deallocate()
        sumGradient.deallocate()
        logits.deallocate()
        hiddenWeightGradient.deallocate()
        weightGradient.deallocate()
    }
}

extension Activation {
    /// Replaces values by the activation there.
    ///
    /// - Parameter values: [count]
    /// - Reference: ``value(at:)``.
    fileprivate func apply(to values: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .tanh: for index in 0..<count { values[index] = Foundation.tanh(values[index]) }
        case .relu: for index in 0..<count { values[index] = values[index] < 0 ? 0 : values[index] }
        case .gelu: for index in 0..<count { values[index] *= Self.normalDistribution(values[index]) }
        }
    }

    /// Replaces values by the activation there, and gives its derivatives.
    ///
    /// - Parameters:
    ///   - values: [count]
    ///   - slopes: [count]
    /// - Reference: ``value(at:)``, ``slope(at:value:)``.
    fileprivate func apply(
        to values: UnsafeMutablePointer<Float>, slopes: UnsafeMutablePointer<Float>, count: Int
    ) {
        switch self {
        case .tanh:
            for index in 0..<count {
                let value = Foundation.tanh(values[index])
                values[index] = value
                slopes[index] = 1 - value * value
            }
        case .relu:
            for index in 0..<count {
                let input = values[index]
                values[index] = input < 0 ? 0 : input
                slopes[index] = input > 0 ? 1 : 0
            }
        case .gelu:
            let density = Float(1 / (2 * Double.pi).squareRoot())
            for index in 0..<count {
                let input = values[index]
                let distribution = Self.normalDistribution(input)
                values[index] = input * distribution
                slopes[index] = distribution + input * density * exp(-0.5 * input * input)
            }
        }
    }

    /// Φ, the normal distribution function.
    private static func normalDistribution(_ input: Float) -> Float { 0.5 * erfc(-input * Float(0.5).squareRoot()) }
}

extension HiddenHead.LayerNorm {
    /// Normalises a row; mean and variance are summed in Double, in eight lanes.
    ///
    /// - Parameters:
    ///   - features: [width]
    ///   - target: [width]
    /// - Complexity: O(width).
    /// - Reference: ``normalized(_:)``.
    fileprivate static func normalize(
        _ features: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, width: Int
    ) {
        let whole = width & ~7
        func sum(_ term: (SIMD8<Double>) -> SIMD8<Double>) -> Double {
            var lanes = SIMD8<Double>(repeating: 0)
            for column in stride(from: 0, to: whole, by: 8) {
                let values = UnsafeRawPointer(features + column).loadUnaligned(as: SIMD8<Float>.self)
                lanes += term(SIMD8<Double>(values))
            }
            var rest = 0.0
            for column in whole..<width { rest += term(SIMD8(repeating: Double(features[column])))[0] }
            return lanes.sum() + rest
        }
        let mean = sum { $0 } / Double(width)
        let variance = sum { ($0 - mean) * ($0 - mean) } / Double(width)
        let inverseDeviation = 1 / (variance + epsilon).squareRoot()
        for column in 0..<width { target[column] = Float((Double(features[column]) - mean) * inverseDeviation) }
    }
}
