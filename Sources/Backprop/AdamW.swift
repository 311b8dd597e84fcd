import Foundation

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2), for minibatches.
///
/// The learning rate falls from its first value to 0 along half a cosine.
struct AdamW: Sendable {
    /// The step sizes and averages of the optimiser.
    let settings: AdamWSettings
    /// How many steps the schedule has.
    let stepCount: Int
    private var first: [Double]
    private var second: [Double]
    private var step = 0

    init(settings: AdamWSettings, parameterCount: Int, stepCount: Int) {
        self.settings = settings
        self.stepCount = max(stepCount, 1)
        first = Array(repeating: 0, count: parameterCount)
        second = Array(repeating: 0, count: parameterCount)
    }

    /// Moves the parameters one step.
    ///
    /// - Parameters:
    ///   - parameters: changed in place.
    ///   - gradient: of the loss alone, without a penalty.
    ///   - decay: how fast weights shrink, as a multiple of the learning rate.
    ///   - decays: whether the parameter at an index shrinks; biases do not.
    mutating func update(
        _ parameters: inout [Double], gradient: [Double], decay: Double, decays: (_ index: Int) -> Bool
    ) {
        let progress = Double(step) / Double(stepCount)
        let rate = settings.learningRate * 0.5 * (1 + cos(.pi * min(progress, 1)))
        step += 1
        let firstCorrection = 1 - pow(settings.beta1, Double(step))
        let secondCorrection = 1 - pow(settings.beta2, Double(step))
        for index in parameters.indices {
            first[index] = settings.beta1 * first[index] + (1 - settings.beta1) * gradient[index]
            second[index] = settings.beta2 * second[index] + (1 - settings.beta2) * gradient[index] * gradient[index]
            if decays(index) { parameters[index] -= rate * decay * parameters[index] }
            let direction =
                first[index] / firstCorrection / ((second[index] / secondCorrection).squareRoot() + settings.epsilon)
            parameters[index] -= rate * direction
        }
    }
}
