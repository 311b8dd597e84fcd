import ExitHeads
import LinearAlgebra
import Statistics

/// Which numbers a head in training has, and what they mean: the parameters are one vector that optimisers work on.
enum HeadForm: Codable, Equatable, Sendable {
    /// ``LinearParameters``.
    case linear(classCount: Int, width: Int)
    /// ``HiddenParameters``.
    case hidden(HiddenParameters.Architecture)

    init(_ architecture: TrainingSettings.Architecture, classCount: Int, width: Int) {
        switch architecture {
        case .linear: self = .linear(classCount: classCount, width: width)
        case .hidden(let layer):
            self = .hidden(
                HiddenParameters.Architecture(
                    width: width, hiddenCount: layer.width, classCount: classCount, activation: layer.activation,
                    hasLayerNorm: layer.hasLayerNorm))
        }
    }

    /// The form of a saved head.
    init(_ head: ExitHead) {
        switch head {
        case .linear(let head): self = .linear(classCount: head.classCount, width: head.width)
        case .hidden(let head): self = .hidden(HiddenParameters(head).architecture)
        }
    }

    /// How many classes there are; 1 for a head that predicts a number.
    var classCount: Int {
        switch self {
        case .linear(let classCount, _): classCount
        case .hidden(let architecture): architecture.classCount
        }
    }

    /// How many parameters there are.
    var parameterCount: Int {
        switch self {
        case .linear(let classCount, let width): classCount * (width + 1)
        case .hidden(let architecture): architecture.parameterCount
        }
    }

    /// Whether it is trained on standardised rows: not where rows are normalised one by one.
    var takesStandardizedRows: Bool {
        switch self {
        case .linear: true
        case .hidden(let architecture): !architecture.hasLayerNorm
        }
    }

    /// Where the weights stand, which penalties are for.
    var weights: DecayedParameters {
        switch self {
        case .linear(let classCount, let width): LinearParameters(classCount: classCount, width: width).weights
        case .hidden(let architecture): architecture.weights
        }
    }

    /// [parameterCount]: where training starts: zero for a linear head, small random numbers for a hidden one.
    func start(seed: UInt64) -> [Double] {
        switch self {
        case .linear: [Double](repeating: 0, count: parameterCount)
        case .hidden(let architecture): HiddenParameters(architecture, seed: seed).values
        }
    }

    /// [parameterCount]: the parameters of a saved head of this form, on rows that are standardised; nil for rows as they
    /// come.
    func values(of head: ExitHead, standardization: Standardization?) -> [Double] {
        switch (head, standardization) {
        case (.linear(let head), let standardization?):
            return LinearParameters(head, standardization: standardization).values
        case (.hidden(let head), let standardization?):
            return HiddenParameters(head, standardization: standardization).values
        case (.hidden(let head), nil): return HiddenParameters(head).values
        case (.linear(let head), nil):
            return head.bias.indices.flatMap { row in
                head.weight[(row * head.width)..<((row + 1) * head.width)].map { Double($0) } + [Double(head.bias[row])]
            }
        }
    }

    /// The head with these parameters, on features as they come.
    ///
    /// - Parameter values: [parameterCount]
    func head(_ values: [Double], standardization: Standardization?) -> ExitHead {
        switch (self, standardization) {
        case (.linear(let classCount, let width), let standardization?):
            var parameters = LinearParameters(classCount: classCount, width: width)
            parameters.values = values
            return .linear(parameters.head(standardization: standardization))
        case (.hidden(let architecture), let standardization?):
            return .hidden(
                HiddenParameters(architecture, values: values).head(standardization: standardization))
        case (.hidden(let architecture), nil): return .hidden(HiddenParameters(architecture, values: values).head)
        case (.linear(let classCount, let width), nil):
            let rows = (0..<classCount).map { $0 * (width + 1) }
            return .linear(
                LinearHead(
                    weight: rows.flatMap { values[$0..<($0 + width)].map { Float($0) } },
                    bias: rows.map { Float(values[$0 + width]) }))
        }
    }

    /// The mean loss of rows, without penalty, and its gradient in the layout of the parameters.
    ///
    /// - Parameters:
    ///   - values: [parameterCount]
    ///   - standardization: nil for rows that are taken as they come.
    ///   - dropout: nil for none.
    /// - Complexity: O(rows * parameters).
    func evaluate(
        _ values: [Double], on rows: LabelledRows, loss: any HeadLoss, standardization: Standardization?,
        dropout: Dropout?, threads: Int
    ) -> LinearHeadObjective.Value {
        switch self {
        case .linear(let classCount, let width):
            var parameters = LinearParameters(classCount: classCount, width: width)
            parameters.values = values
            guard let standardization else { preconditionFailure("linear heads are trained on standardised rows") }
            return LinearHeadObjective(
                features: rows.features, targets: rows.targets, loss: loss, outputCount: classCount,
                standardization: standardization, threads: threads
            ).evaluate([LinearHeadObjective.Point(parameters: parameters, l2: 0)])[0]
        case .hidden(let architecture):
            return HiddenHeadKernel(HiddenParameters(architecture, values: values)).objective(
                on: rows.features, targets: rows.targets, loss: loss, standardization: standardization, l2: 0,
                dropout: dropout, threads: threads)
        }
    }

    /// The mean loss of rows, without penalty: the value of ``evaluate(_:on:loss:standardization:dropout:threads:)``.
    ///
    /// - Complexity: O(rows * parameters).
    func meanLoss(
        _ values: [Double], on rows: LabelledRows, loss: any HeadLoss, standardization: Standardization?, threads: Int
    ) -> Double {
        guard case .linear(let classCount, let width) = self, let standardization else {
            return evaluate(
                values, on: rows, loss: loss, standardization: standardization, dropout: nil, threads: threads
            ).value
        }
        var parameters = LinearParameters(classCount: classCount, width: width)
        parameters.values = values
        return LinearHeadObjective(
            features: rows.features, targets: rows.targets, loss: loss, outputCount: classCount,
            standardization: standardization, threads: threads
        ).meanLoss([parameters])[0]
    }

    /// `l2 / 2` times the sum of the squared weights.
    func penalty(_ values: [Double], l2: Double) -> Double { l2 / 2 * weights.squaredSum(of: values) }
}
