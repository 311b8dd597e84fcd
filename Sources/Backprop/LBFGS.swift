/// Limited-memory BFGS with a preconditioner, for smooth convex objectives.
///
/// The caller evaluates: ask for ``point``, evaluate there, and ``observe(value:gradient:precondition:)`` the result,
/// until ``isFinished``. So the optimiser knows nothing of data, blocks or threads.
///
/// Directions come from the two-loop recursion (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4)
/// with `gamma P⁻¹` as initial inverse Hessian; steps from a bisection for the weak Wolfe conditions (Lewis and
/// Overton, 2013, algorithm 2.6), with a decrease too small for the precision of the values judged by slopes.
struct LBFGS: Sendable {
    /// How an optimisation ended.
    enum Ending: String, Sendable {
        /// The predicted decrease fell below the tolerance.
        case converged
        /// No step makes progress any more: the precision of the objective is used up.
        case precision
        /// The limit of evaluations was reached.
        case evaluations
    }

    /// Where to evaluate next; once finished, the best point.
    private(set) var point: [Double]
    /// How it ended; nil while it runs.
    private(set) var ending: Ending?
    /// How often it was evaluated.
    private(set) var evaluations = 0
    /// The objective at the best point so far.
    private(set) var value = Double.infinity

    private let tolerance: Double
    private let maximumEvaluations: Int
    private let historyLength = 10

    private var current: [Double] = []
    private var gradient: [Double] = []
    private var direction: [Double] = []
    private var slope = 0.0
    private var step = 1.0
    private var lowerStep = 0.0
    private var upperStep = Double.infinity
    private var trials = 0
    private var history: [(step: [Double], change: [Double], inverseProduct: Double)] = []
    private var gamma = 1.0
    private var smallestDecrease = Double.infinity
    private var stepsWithoutProgress = 0

    /// - Parameters:
    ///   - start: the first point.
    ///   - tolerance: stop when half of `gᵀ H g`, the decrease a Newton step with the current inverse Hessian H
    ///     predicts, is at most this fraction of the objective.
    ///   - maximumEvaluations: the most evaluations.
    init(start: [Double], tolerance: Double = 1e-8, maximumEvaluations: Int = 500) {
        point = start
        self.tolerance = tolerance
        self.maximumEvaluations = maximumEvaluations
    }

    /// Whether no more evaluations are wanted.
    var isFinished: Bool { ending != nil }

    /// Takes objective and gradient at ``point`` and chooses the next point.
    ///
    /// - Parameter precondition: multiplies a vector by P⁻¹, P an approximation of the Hessian.
    mutating func observe(value newValue: Double, gradient newGradient: [Double], precondition: ([Double]) -> [Double])
    {
        evaluations += 1
        if current.isEmpty {
            accept(value: newValue, gradient: newGradient, precondition: precondition)
            return
        }
        let newSlope = dot(newGradient, direction)
        // Values carry the rounding of Float32 products. Where a decrease drowns in it, the slope tells: on a parabola
        // the second condition equals the first (Hager and Zhang, 2005, equation 4.1).
        let decreases =
            newValue <= value + 1e-4 * step * slope
            || (newValue <= value + 1e-6 * abs(value) && newSlope <= (2 * 1e-4 - 1) * slope)
        if !newValue.isFinite || !decreases {
            upperStep = step
        } else if newSlope < 0.9 * slope {
            lowerStep = step
        } else {
            remember(newGradient, precondition: precondition)
            accept(value: newValue, gradient: newGradient, precondition: precondition)
            return
        }
        trials += 1
        guard trials < 25, evaluations < maximumEvaluations else {
            finish(trials < 25 ? .evaluations : .precision)
            return
        }
        step = upperStep.isFinite ? (lowerStep + upperStep) / 2 : 2 * lowerStep
        moveAlongDirection()
    }

    private mutating func accept(value: Double, gradient: [Double], precondition: ([Double]) -> [Double]) {
        self.value = value
        self.gradient = gradient
        current = point
        direction = newDirection(precondition).map { -$0 }
        slope = dot(gradient, direction)
        if -slope / 2 <= tolerance * abs(value) { return finish(.converged) }
        if slope >= 0 || !slope.isFinite { return finish(.precision) }
        // Gradients carry rounding too: where the predicted decrease no longer falls, it is made of that.
        if -slope < smallestDecrease / 2 {
            smallestDecrease = -slope
            stepsWithoutProgress = 0
        } else {
            stepsWithoutProgress += 1
            if stepsWithoutProgress > 10, smallestDecrease <= 1e-9 * abs(value) { return finish(.precision) }
        }
        if evaluations >= maximumEvaluations { return finish(.evaluations) }
        step = 1
        lowerStep = 0
        upperStep = .infinity
        trials = 0
        moveAlongDirection()
    }

    private mutating func finish(_ ending: Ending) {
        self.ending = ending
        point = current
    }

    private mutating func moveAlongDirection() {
        for index in point.indices { point[index] = current[index] + step * direction[index] }
    }

    /// Keeps the step just accepted, if the curvature along it is positive beyond rounding.
    private mutating func remember(_ newGradient: [Double], precondition: ([Double]) -> [Double]) {
        let change = zip(newGradient, gradient).map { $0 - $1 }
        let taken = direction.map { step * $0 }
        let product = dot(taken, change)
        let preconditioned = dot(change, precondition(change))
        guard product > 1e-14 * dot(taken, taken), preconditioned > 0 else { return }
        gamma = product / preconditioned
        history.append((taken, change, 1 / product))
        if history.count > historyLength { history.removeFirst() }
    }

    /// The gradient times the approximate inverse Hessian.
    private func newDirection(_ precondition: ([Double]) -> [Double]) -> [Double] {
        var result = gradient
        var coefficients: [Double] = []
        for pair in history.reversed() {
            let coefficient = pair.inverseProduct * dot(pair.step, result)
            coefficients.append(coefficient)
            for index in result.indices { result[index] -= coefficient * pair.change[index] }
        }
        result = precondition(result)
        for index in result.indices { result[index] *= gamma }
        for (pair, coefficient) in zip(history, coefficients.reversed()) {
            let correction = coefficient - pair.inverseProduct * dot(pair.change, result)
            for index in result.indices { result[index] += correction * pair.step[index] }
        }
        return result
    }
}

/// The inner product, summed in order.
func dot(_ left: [Double], _ right: [Double]) -> Double {
    precondition(left.count == right.count, "vectors of the same length")
    var sum = 0.0
    for index in left.indices { sum += left[index] * right[index] }
    return sum
}
