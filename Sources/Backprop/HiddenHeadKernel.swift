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
