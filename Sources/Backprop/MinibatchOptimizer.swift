/// An optimiser of minibatches with its state.
enum MinibatchOptimizer: Codable, Equatable, Sendable {
    case adamW(AdamWOptimizer<Double>)
    case sgd(SGDOptimizer<Double>)

    /// How many steps were taken.
    var stepCount: Int {
        switch self {
        case .adamW(let optimizer): optimizer.stepCount
        case .sgd(let optimizer): optimizer.stepCount
        }
    }

    /// How many parameters there are.
    var parameterCount: Int {
        switch self {
        case .adamW(let optimizer): optimizer.parameterCount
        case .sgd(let optimizer): optimizer.parameterCount
        }
    }

    /// Moves the parameters one step.
    mutating func update(_ parameters: inout [Double], gradient: [Double], learningRate: Double) {
        switch self {
        case .adamW(var optimizer):
            // The state is moved out and back, not copied.
            self = .sgd(SGDOptimizer(parameterCount: 0))
            optimizer.update(&parameters, gradient: gradient, learningRate: learningRate)
            self = .adamW(optimizer)
        case .sgd(var optimizer):
            self = .sgd(SGDOptimizer(parameterCount: 0))
            optimizer.update(&parameters, gradient: gradient, learningRate: learningRate)
            self = .sgd(optimizer)
        }
    }
}
