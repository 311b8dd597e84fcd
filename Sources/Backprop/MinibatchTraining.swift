import ExitHeads
import Statistics

/// A head in training on shuffled minibatches, with all penalties in step.
struct MinibatchTraining: Sendable {
    /// All that matters of it, between any two steps.
    struct State: Codable, Equatable, Sendable {
        /// How many epochs are complete.
        var epoch = 0
        /// How many batches of the epoch in work are done.
        var batch = 0
        /// [penalties]
        var candidates: [Candidate]
        var curve: [LearningCurvePoint] = []
    }

    /// One penalty's head in training.
    struct Candidate: Codable, Equatable, Sendable {
        /// [parameters]
        var values: PackedNumbers<Double>
        var optimizer: MinibatchOptimizer
        /// When to end; nil when the epochs say.
        var stopping: EarlyStopping<Double>?
        /// The sum of the batches' losses in this epoch, each times its rows.
        var loss = 0.0
        /// How many epochs it took part in.
        var epochs = 0

        /// Whether it has ended before the epochs have.
        var isStopped: Bool { stopping?.isFinished ?? false }

        /// Moves the parameters one step.
        mutating func move(along gradient: [Double], learningRate: Double) {
            optimizer.update(&values.values, gradient: gradient, learningRate: learningRate)
        }

        /// [parameters]: those to keep.
        var best: [Double] { stopping?.best?.parameters ?? values.values }
    }

    private let task: ExitTask
    private let settings: MinibatchSettings
    private let schedule: LearningRateSchedule
    /// The rows in the order of the epoch that `orderEpoch` names.
    private var order: [Int] = []
    private var orderEpoch = -1
    private(set) var state: State

    /// Begins, or goes on from a state.
    init(_ task: ExitTask, _ settings: MinibatchSettings, state: State?) {
        self.task = task
        self.settings = settings
        schedule = settings.schedule(rows: task.train.rowCount)
        self.state =
            state
            ?? State(
                candidates: task.settings.l2.map { l2 in
                    Candidate(
                        values: PackedNumbers(task.start), optimizer: settings.optimizer(task.form, l2: l2),
                        stopping: settings.patience.map { EarlyStopping(patience: $0) })
                })
    }

    /// Whether no more steps are wanted.
    var isFinished: Bool { state.epoch == settings.epochs || state.candidates.allSatisfy(\.isStopped) }

    /// Whether the last step ended an epoch.
    var isBetweenEpochs: Bool { state.batch == 0 }

    /// The share of the epochs that is done.
    var progress: Double {
        let batches = Double(settings.batchCount(rows: task.train.rowCount))
        return isFinished ? 1 : (Double(state.epoch) + Double(state.batch) / batches) / Double(settings.epochs)
    }

    /// What the candidates say of the batch of a step, for others to learn from.
    ///
    /// - Returns: [penalties]: [rows, classes]
    mutating func logits(epoch: Int, batch: Int) -> [[Float]] {
        let rows = self.rows(epoch: epoch, batch: batch)
        let features = task.train.selecting(rows, classes: task.form.classCount).features
        return state.candidates.map {
            ExitForward(head: head($0)).logits(of: features, threads: 1)
        }
    }

    /// What the candidates say of all train rows, for others to learn from.
    ///
    /// - Returns: [penalties]: [rows, classes]
    func logits() -> [[Float]] {
        state.candidates.map {
            ExitForward(head: head($0)).logits(of: task.train.features, threads: task.threads)
        }
    }

    /// Takes a step with every candidate, on the same batch.
    ///
    /// - Parameter teachers: [penalties]: [rows, classes] of the batch; nil where the rows have a teacher already, or
    ///   none.
    mutating func step(teachers: [[Float]]? = nil) {
        precondition(!isFinished, "an epoch to work on")
        let rows = self.rows(epoch: state.epoch, batch: state.batch)
        let batch = task.train.selecting(rows, classes: task.form.classCount)
        for index in state.candidates.indices where !state.candidates[index].isStopped {
            step(index, on: teachers.map { batch.taught(by: $0[index]) } ?? batch)
        }
        state.batch += 1
        if state.batch == settings.batchCount(rows: task.train.rowCount) { endEpoch() }
    }

    private mutating func step(_ index: Int, on batch: LabelledRows) {
        let step = state.candidates[index].optimizer.stepCount
        var dropout: Dropout?
        if case .hidden(let layer) = task.settings.architecture, layer.dropout > 0 {
            dropout = Dropout(probability: layer.dropout, seed: task.seed, step: step)
        }
        // The penalty is the optimiser's, so it is no part of the gradient.
        var value = task.form.evaluate(
            state.candidates[index].values.values, on: batch, loss: task.loss, standardization: task.standardization,
            dropout: dropout, threads: task.threads)
        state.candidates[index].loss += value.value * Double(batch.rowCount)
        if let maximum = settings.maximumNorm { GradientClipping.clip(&value.gradient, maximumNorm: maximum) }
        state.candidates[index].move(along: value.gradient, learningRate: schedule.rate(atStep: step))
    }

    private mutating func endEpoch() {
        for index in state.candidates.indices where !state.candidates[index].isStopped {
            let values = state.candidates[index].values.values
            let score = HeadScore(
                of: task.form.head(values, standardization: task.standardization), on: task.tune,
                kind: task.settings.loss.kind, tolerance: task.tolerance, threads: task.threads)
            state.candidates[index].stopping?.observe(score.loss, parameters: values)
            state.candidates[index].epochs += 1
            state.curve.append(
                LearningCurvePoint(
                    l2: task.settings.l2[index], pass: state.epoch + 1,
                    trainLoss: state.candidates[index].loss / Double(task.train.rowCount), tuneLoss: score.loss,
                    tuneError: score.error))
            state.candidates[index].loss = 0
        }
        state.batch = 0
        state.epoch += 1
    }

    /// [penalties]: what each led to.
    ///
    /// - Parameter teachers: [penalties]: [rows, classes] of all train rows; nil where the rows have a teacher already,
    ///   or none.
    func solutions(teachers: [[Float]]? = nil) -> [SolvedPenalty] {
        state.candidates.indices.map { index in
            let (candidate, l2) = (state.candidates[index], task.settings.l2[index])
            let loss = task.form.meanLoss(
                candidate.best, on: teachers.map { task.train.taught(by: $0[index]) } ?? task.train, loss: task.loss,
                standardization: task.standardization, threads: task.threads)
            return task.solved(
                candidate.best, l2: l2, objective: loss + task.form.penalty(candidate.best, l2: l2),
                passes: candidate.epochs, converged: true)
        }
    }

    private func head(_ candidate: Candidate) -> ExitHead {
        // While it learns, what it says now; once it has stopped, what is kept of it.
        task.form.head(
            candidate.isStopped ? candidate.best : candidate.values.values, standardization: task.standardization)
    }

    private mutating func rows(epoch: Int, batch: Int) -> [Int] {
        let count = task.train.rowCount
        if orderEpoch != epoch {
            var generator = SplitMix64(seed: SplitMix64.hash(seed: task.batchSeed, id: UInt64(epoch)))
            order = Array(0..<count)
            order.shuffle(using: &generator)
            orderEpoch = epoch
        }
        return Array(order[(batch * settings.batchSize)..<min((batch + 1) * settings.batchSize, count)])
    }
}
