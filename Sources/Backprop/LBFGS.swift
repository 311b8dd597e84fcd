/// Limited-memory BFGS with a preconditioner, for smooth convex objectives.
///
/// The caller evaluates: ask for ``point``, evaluate there, and ``observe(value:gradient:precondition:)`` the result,
/// until ``isFinished``. So the optimiser knows nothing of data, blocks or threads. It is a value whose whole state can be
/// encoded: one that is decoded goes on to the last bit. The preconditioner is not part of it, since it can be measured
/// again at the ``anchor``.
///
/// The preconditioner P approximates the Hessian at the anchor: the start, at first. Where the optimum turns out to be far
/// from there, the anchor moves once to where the search stands after a few evaluations, and the search starts anew there;
/// measured, that saves a third of all evaluations of a head that starts at zero. As the first one is left so soon, a rough one
/// may do there: then the anchor always moves.
///
/// Where the objective has an approximation that is cheaper to evaluate, that is asked for most of the time
/// (``wantsApproximation``), and corrected by what the objective itself says now and then (``Approximation``). Only the objective
/// itself ends a search.
///
/// Directions are those of the two-loop recursion (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4)
/// with `gamma P⁻¹` as initial inverse Hessian, found with fewer vectors (``History``); steps are from a bisection for the weak
/// Wolfe conditions (Lewis and Overton, 2013, algorithm 2.6), with a decrease too small for the precision of the values judged
/// by slopes.
struct LBFGS: Equatable, Sendable {
    /// Where a preconditioner is to approximate the Hessian, and how well.
    struct Anchor: Equatable, Sendable {
        /// [parameters]
        var point: [Double]
        /// Whether a rough approximation will do, for a few evaluations.
        var isRough = false
    }

    /// How an optimisation ended.
    enum Ending: String, Codable, Sendable {
        /// The predicted decrease fell below the tolerance.
        case converged
        /// No step makes progress any more: the precision of the objective is used up.
        case precision
        /// The limit of evaluations was reached.
        case evaluations
    }

    /// Where to evaluate next; once finished, the best point.
    private(set) var point: [Double]
    /// Where the preconditioner is to approximate the Hessian.
    private(set) var anchor: Anchor
    /// How it ended; nil while it runs.
    private(set) var ending: Ending?
    /// How often it was evaluated, itself or its approximation.
    private(set) var evaluations = 0
    /// The objective at the best point so far.
    var value: Double { line.value }

    private let tolerance: Double
    private let maximumEvaluations: Int
    /// The first evaluation after which the anchor may move.
    private let evaluationsBeforeMove = 6
    /// The share of the objective that is still to be gained where a move is worth its price.
    private let decreaseWorthMoving = 1e-2

    /// What is known of the approximation; nil where there is none, or where it is no longer of use.
    private var approximation: Approximation?
    /// Whether the objective itself is to be evaluated where it was approximated: at ``current``.
    private var isChecking = false
    /// The search along one direction.
    private var line = LineSearch()
    private var trials = 0
    private var hasMovedAnchor = false
    private var stepsWithoutProgress = 0
    /// [parameters]: where the search along ``direction`` starts; empty before the first evaluation, as the next three.
    private var current: [Double] = []
    private var gradient: [Double] = []
    /// P⁻¹ times the gradient.
    private var preconditioned: [Double] = []
    private var direction: [Double] = []
    private var history = History()

    /// - Parameters:
    ///   - start: the first point.
    ///   - startsRoughly: whether the preconditioner may be rough at the start.
    ///   - hasApproximation: whether the objective has an approximation.
    ///   - tolerance: stop when half of `gᵀ H g`, the decrease a Newton step with the current inverse Hessian H
    ///     predicts, is at most this fraction of the objective.
    ///   - maximumEvaluations: the most evaluations.
    init(
        start: [Double], startsRoughly: Bool = false, hasApproximation: Bool = false, tolerance: Double = 1e-8,
        maximumEvaluations: Int = 500
    ) {
        point = start
        anchor = Anchor(point: start, isRough: startsRoughly)
        // The last evaluation is one of the objective itself.
        approximation = hasApproximation && maximumEvaluations > 2 ? Approximation() : nil
        self.tolerance = tolerance
        self.maximumEvaluations = maximumEvaluations
    }

    /// Whether no more evaluations are wanted.
    var isFinished: Bool { ending != nil }

    /// Whether an approximation is still of use.
    var hasApproximation: Bool { approximation != nil }

    /// Whether to evaluate the approximation at ``point``, not the objective itself.
    var wantsApproximation: Bool { hasApproximation && !isChecking }

    /// Goes on without the approximation, which is no longer to be had: what it said of the point reached so far is asked of
    /// the objective itself.
    mutating func leaveApproximation() {
        guard approximation != nil, !isFinished else { return }
        approximation = nil
        if !current.isEmpty { check() }
    }

    /// Takes objective and gradient at ``point``, or those of the approximation, and chooses the next point.
    ///
    /// - Parameter precondition: multiplies a vector by P⁻¹, P an approximation of the Hessian at the anchor: for one anchor
    ///   always the same linear map.
    /// - Complexity: O(parameters), and a product with P⁻¹, or two where the anchor moves.
    mutating func observe(
        value: Double, gradient newGradient: [Double],
        precondition: (_ vector: [Double], _ anchor: Anchor) -> [Double]
    ) {
        evaluations += 1
        if isChecking { return learn(value: value, gradient: newGradient, precondition) }
        var (value, newGradient) = (value, newGradient)
        approximation?.correct(&value, &newGradient, at: point)
        if current.isEmpty {
            accept(value: value, gradient: newGradient, preconditioned: precondition(newGradient, anchor))
            moveAnchorIfWorthwhile(precondition)
            beginSearch()
            return
        }
        let newSlope = dot(newGradient, direction)
        // Values carry the rounding of Float32 products. Where a decrease drowns in it, the slope tells: on a parabola
        // the second condition equals the first (Hager and Zhang, 2005, equation 4.1).
        let decreases =
            value <= line.value + 1e-4 * line.step * line.slope
            || (value <= line.value + 1e-6 * abs(line.value) && newSlope <= (2 * 1e-4 - 1) * line.slope)
        if !value.isFinite || !decreases {
            line.upperStep = line.step
        } else if newSlope < 0.9 * line.slope {
            line.lowerStep = line.step
        } else {
            let newPreconditioned = precondition(newGradient, anchor)
            remember(newGradient, newPreconditioned)
            accept(value: value, gradient: newGradient, preconditioned: newPreconditioned)
            moveAnchorIfWorthwhile(precondition)
            beginSearch()
            return
        }
        trials += 1
        guard trials < 25, evaluations < limit else { return end(trials < 25 ? .evaluations : .precision) }
        line.step = line.upperStep.isFinite ? (line.lowerStep + line.upperStep) / 2 : 2 * line.lowerStep
        moveAlongDirection()
    }

    /// How many evaluations there may be before the objective itself is to be evaluated.
    private var limit: Int { approximation == nil ? maximumEvaluations : maximumEvaluations - 1 }

    /// Takes what the objective itself says where it was approximated.
    private mutating func learn(
        value: Double, gradient newGradient: [Double],
        _ precondition: (_ vector: [Double], _ anchor: Anchor) -> [Double]
    ) {
        isChecking = false
        if approximation != nil {
            var error = newGradient
            addScaled(-1, gradient, to: &error)
            approximation?.learn(value: value - line.value, gradient: error, at: current)
        }
        // What was too small to be told from rounding was the approximation's.
        line.smallestDecrease = .infinity
        stepsWithoutProgress = 0
        history.use(newGradient)
        accept(value: value, gradient: newGradient, preconditioned: precondition(newGradient, anchor))
        moveAnchorIfWorthwhile(precondition)
        approximation?.check(-line.slope / 2 / abs(line.value))
        if approximation?.isSpent == true { approximation = nil }
        beginSearch(isExact: true)
    }

    /// Evaluates the objective itself at the best point so far.
    private mutating func check() {
        isChecking = true
        point = current
    }

    /// Moves the anchor to the point just accepted, if that pays, or if nothing else can be trusted: what a rough
    /// preconditioner predicts does not tell that the optimum is reached.
    private mutating func moveAnchorIfWorthwhile(
        _ precondition: (_ vector: [Double], _ anchor: Anchor) -> [Double]
    ) {
        let (predicted, scale) = (-line.slope / 2, abs(line.value))
        let isWorthwhile =
            anchor.isRough
            ? evaluations >= evaluationsBeforeMove || !(predicted > tolerance * scale)
            : evaluations >= evaluationsBeforeMove && predicted > decreaseWorthMoving * scale
        guard !hasMovedAnchor, isWorthwhile else { return }
        hasMovedAnchor = true
        anchor = Anchor(point: current)
        history = History()
        line.gamma = 1
        accept(value: line.value, gradient: gradient, preconditioned: precondition(gradient, anchor))
    }

    /// Takes the point for where the next search starts, and finds the direction.
    private mutating func accept(value: Double, gradient: [Double], preconditioned: [Double]) {
        line.value = value
        self.gradient = gradient
        self.preconditioned = preconditioned
        current = point
        direction = history.direction(preconditioned, gamma: line.gamma)
        line.slope = dot(gradient, direction)
    }

    /// Takes the first step of a search, if there is anything left to search.
    ///
    /// - Parameter isExact: whether value and gradient are the objective's own, although it has an approximation.
    private mutating func beginSearch(isExact: Bool = false) {
        if let approximation, !isExact, -line.slope / 2 <= max(approximation.nextCheck, tolerance) * abs(line.value) {
            return check()
        }
        if -line.slope / 2 <= tolerance * abs(line.value) { return finish(.converged) }
        if line.slope >= 0 || !line.slope.isFinite { return end(.precision) }
        // Gradients carry rounding too: where the predicted decrease no longer falls, it is made of that.
        if -line.slope < line.smallestDecrease / 2 {
            line.smallestDecrease = -line.slope
            stepsWithoutProgress = 0
        } else {
            stepsWithoutProgress += 1
            if stepsWithoutProgress > 10, line.smallestDecrease <= 1e-9 * abs(line.value) { return end(.precision) }
        }
        if evaluations >= limit { return end(.evaluations) }
        line.step = 1
        line.lowerStep = 0
        line.upperStep = .infinity
        trials = 0
        moveAlongDirection()
    }

    /// Ends, or goes on with the objective itself where it was the approximation that led no further.
    private mutating func end(_ ending: Ending) {
        if approximation == nil { finish(ending) } else { leaveApproximation() }
    }

    private mutating func finish(_ ending: Ending) {
        self.ending = ending
        point = current
    }

    private mutating func moveAlongDirection() {
        point = current
        addScaled(line.step, direction, to: &point)
    }

    /// Keeps the step just accepted, if the curvature along it is positive beyond rounding.
    private mutating func remember(_ newGradient: [Double], _ newPreconditioned: [Double]) {
        let step = line.step
        let gamma = history.remember(
            step: singles(direction.count) { step * direction[$0] },
            // P⁻¹ is linear, so the change needs no product of its own.
            change: singles(direction.count) { newPreconditioned[$0] - preconditioned[$0] },
            gradient: newGradient, oldGradient: gradient, least: 1e-14 * step * step * dot(direction, direction))
        if let gamma { line.gamma = gamma }
    }
}

// MARK: - State

extension LBFGS: Codable {
    private enum CodingKeys: String, CodingKey {
        case point, anchor, isAnchorRough, ending, evaluations, tolerance, maximumEvaluations
        case approximation, isChecking, line, trials
        case hasMovedAnchor
        case stepsWithoutProgress, current, gradient, preconditioned, direction, history
    }

    /// Reads an optimiser with its state.
    ///
    /// - Throws: `DecodingError`, also for vectors of different lengths.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func numbers(_ key: CodingKeys) throws -> [Double] {
            try container.decode(PackedNumbers<Double>.self, forKey: key).values
        }
        point = try numbers(.point)
        anchor = Anchor(
            point: try numbers(.anchor), isRough: try container.decode(Bool.self, forKey: .isAnchorRough))
        ending = try container.decodeIfPresent(Ending.self, forKey: .ending)
        evaluations = try container.decode(Int.self, forKey: .evaluations)
        tolerance = try container.decode(Double.self, forKey: .tolerance)
        maximumEvaluations = try container.decode(Int.self, forKey: .maximumEvaluations)
        approximation = try container.decodeIfPresent(Approximation.self, forKey: .approximation)
        isChecking = try container.decode(Bool.self, forKey: .isChecking)
        line = try container.decode(LineSearch.self, forKey: .line)
        trials = try container.decode(Int.self, forKey: .trials)
        hasMovedAnchor = try container.decode(Bool.self, forKey: .hasMovedAnchor)
        stepsWithoutProgress = try container.decode(Int.self, forKey: .stepsWithoutProgress)
        current = try numbers(.current)
        gradient = try numbers(.gradient)
        preconditioned = try numbers(.preconditioned)
        direction = try numbers(.direction)
        history = try container.decode(History.self, forKey: .history)
        let (count, started) = (point.count, !current.isEmpty)
        let vectors = [current, gradient, preconditioned, direction]
        guard anchor.point.count == count, vectors.allSatisfy({ $0.count == (started ? count : 0) }),
            history.fits(count), approximation?.fits(count) != false, !isChecking || started
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .current, in: container,
                debugDescription: "vectors of \(vectors.map(\.count)) numbers, expected \(count)")
        }
    }

    /// Writes the optimiser with its state.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(PackedNumbers(point), forKey: .point)
        try container.encode(PackedNumbers(anchor.point), forKey: .anchor)
        try container.encode(anchor.isRough, forKey: .isAnchorRough)
        try container.encodeIfPresent(ending, forKey: .ending)
        try container.encode(evaluations, forKey: .evaluations)
        try container.encode(tolerance, forKey: .tolerance)
        try container.encode(maximumEvaluations, forKey: .maximumEvaluations)
        try container.encodeIfPresent(approximation, forKey: .approximation)
        try container.encode(isChecking, forKey: .isChecking)
        try container.encode(line, forKey: .line)
        try container.encode(trials, forKey: .trials)
        try container.encode(hasMovedAnchor, forKey: .hasMovedAnchor)
        try container.encode(stepsWithoutProgress, forKey: .stepsWithoutProgress)
        try container.encode(PackedNumbers(current), forKey: .current)
        try container.encode(PackedNumbers(gradient), forKey: .gradient)
        try container.encode(PackedNumbers(preconditioned), forKey: .preconditioned)
        try container.encode(PackedNumbers(direction), forKey: .direction)
        try container.encode(history, forKey: .history)
    }
}

/// [count]: numbers rounded to Float32.
@inline(__always)
private func singles(_ count: Int, _ number: (Int) -> Double) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { numbers, size in
        for index in 0..<count { numbers[index] = Float(number(index)) }
        size = count
    }
}
