import ExitHeads

/// A linear head in training by L-BFGS, with all penalties one after the other: from the strongest to the weakest, each
/// starting where the one before ended. Weights grow along the way, and the curvature there makes a far better
/// preconditioner than at zero.
struct FullBatchTraining: Sendable {
    /// All that matters of it, between any two evaluations.
    struct State: Codable, Equatable, Sendable {
        /// What is solved, from the strongest penalty on.
        var solved: [SolvedPenalty] = []
        /// [parameters]: where the penalty in work started, and the next one will.
        var start: PackedNumbers<Double>
        /// What minimises the objective of the penalty in work; nil between two penalties.
        var optimizer: LBFGS?
        var curve: [LearningCurvePoint] = []
    }

    private let task: ExitTask
    private let lbfgs: LBFGSSettings
    /// The indices of the penalties, strongest first.
    private let order: [Int]
    private let objective: LinearHeadObjective
    /// Measured where the optimiser says, once that is needed; not part of the state, since it can be measured again.
    private var preconditioner: AnchoredPreconditioner?
    /// Made when it is needed, for all penalties; not part of the state.
    private var approximation: QuantizedObjective?
    private(set) var state: State

    /// Begins, or goes on from a state.
    ///
    /// - Parameter memoryBudget: the most bytes that may be spent on keeping rows in Float32.
    init(_ task: ExitTask, _ lbfgs: LBFGSSettings, state: State?, memoryBudget: Int) {
        guard case .linear(let classCount, _) = task.form, let standardization = task.standardization else {
            preconditionFailure("L-BFGS is for linear heads")
        }
        self.task = task
        self.lbfgs = lbfgs
        let l2 = task.settings.l2
        order = l2.indices.sorted { (l2[$0], $1) > (l2[$1], $0) }
        objective = LinearHeadObjective(
            features: task.train.features, targets: task.train.targets, loss: task.loss, outputCount: classCount,
            standardization: standardization, threads: task.threads, memoryBudget: memoryBudget, ranks: task.ranks)
        self.state = state ?? State(start: PackedNumbers(task.start))
    }

    /// Whether all penalties are solved.
    var isFinished: Bool { state.solved.count == order.count }

    /// The share of the work that is done, as far as one can tell.
    var progress: Double {
        // An evaluation less is left to do; the share rises with each, and reaches the next penalty's never.
        let own = state.optimizer.map { 1 - 1 / (1 + Double($0.evaluations) / 10) } ?? 0
        return (Double(state.solved.count) + own) / Double(order.count)
    }

    /// [penalties]: what each led to, in the order of the settings.
    var solutions: [SolvedPenalty] {
        order.indices.sorted { order[$0] < order[$1] }.map { state.solved[$0] }
    }

    /// Evaluates once, and moves.
    mutating func step() {
        precondition(!isFinished, "a penalty to work on")
        let l2 = task.settings.l2[order[state.solved.count]]
        guard case .linear(let classCount, let width) = task.form else { return }
        var point = LinearHeadObjective.Point(
            parameters: LinearParameters(classCount: classCount, width: width), l2: l2)
        // A new optimiser asks whether there is one; one that goes on knows.
        if state.optimizer?.hasApproximation != false, approximation == nil {
            approximation = QuantizedObjective(of: objective)
        }
        var optimizer =
            state.optimizer
            ?? LBFGS(
                start: state.start.values,
                // Zero is as far from the optimum as starts are, unless the objective is a parabola. One block would be no
                // cheaper.
                startsRoughly: classCount > 1 && width > HeadPreconditioner.roughBlockWidth
                    && state.start.values.allSatisfy { $0 == 0 },
                hasApproximation: approximation != nil,
                tolerance: lbfgs.tolerance, maximumEvaluations: lbfgs.maximumEvaluations)
        // Given up here, so that it is changed in place.
        state.optimizer = nil
        var preconditioner = self.preconditioner ?? AnchoredPreconditioner(of: objective, l2: l2)
        self.preconditioner = nil
        // On another machine there may be none.
        if approximation == nil { optimizer.leaveApproximation() }
        point.parameters.values = optimizer.point
        let value: LinearHeadObjective.Value
        if let approximation, optimizer.wantsApproximation {
            value = approximation.evaluate(point)
        } else {
            value = objective.evaluate([point])[0]
        }
        optimizer.observe(value: value.value, gradient: value.gradient) { preconditioner.apply($0, at: $1) }
        state.curve.append(LearningCurvePoint(l2: l2, pass: optimizer.evaluations, trainLoss: value.value))
        guard optimizer.isFinished else {
            state.optimizer = optimizer
            self.preconditioner = preconditioner
            return
        }
        let solved = task.solved(
            optimizer.point, l2: l2, objective: optimizer.value, passes: optimizer.evaluations,
            converged: optimizer.ending != .evaluations)
        state.curve[state.curve.count - 1].tuneLoss = solved.candidate.tuneLoss
        state.curve[state.curve.count - 1].tuneError = solved.candidate.tuneError
        state.solved.append(solved)
        state.start = PackedNumbers(optimizer.point)
        if isFinished { approximation = nil }
    }
}
