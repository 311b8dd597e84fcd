import ExitHeads
import LinearAlgebra
import Ranks
import Statistics

/// One training of all exits: who goes when.
struct TrainingSession: Sendable {
    let trainer: HeadTrainer
    let exits: [ExitRows]
    let classCount: Int
    let initial: [ExitHead]?
    let ledger: TrainingLedger

    private var final: Int { exits.count - 1 }
    private var ranks: any Communicator { trainer.ranks }

    /// Whether the ranks share the rows of a pass; otherwise each has all rows of some exits.
    private var sharesRows: Bool {
        if case .lbfgs = trainer.settings.optimizer { true } else { false }
    }

    /// Works until all heads are trained or somebody interrupts; the ledger has what came of it.
    func run() {
        switch trainer.settings.loss.teacher {
        case nil: train(Array(exits.indices), teacher: nil)
        case let teacher? where teacher.isTrainedTogether && exits.count > 1: trainTogether()
        case .some:
            train([final], teacher: nil)
            guard case .finished(let finished) = ledger.state.exits[final], exits.count > 1 else { return }
            let logits = ExitForward(head: finished.trained.head)
                .logits(of: exits[final].train.features, threads: trainer.threads)
            train(Array(exits.indices.dropLast()), teacher: logits)
        }
    }

    /// Trains some exits, as many at a time as there are threads; one after another where ranks share its rows.
    ///
    /// - Parameter teacher: [rows, classes]: what the final exit says of the train rows.
    private func train(_ indices: [Int], teacher: [Float]?) {
        let open = indices.filter { !ledger.state.exits[$0].isFinished }
        guard ranks.isAlone || sharesRows else { return trainDivided(open, teacher: teacher) }
        let workers = ranks.isAlone ? max(1, min(trainer.threads, open.count)) : 1
        let threads = max(1, trainer.threads / workers)
        Parallel.forEach(open.count, threads: workers) { index in
            guard !ledger.isInterrupted else { return }
            let exit = open[index]
            let work = ExitWork(
                task(exit, teacher: teacher, threads: threads), state: ledger.state.exits[exit],
                memoryBudget: trainer.memoryBudget / workers)
            while !work.isFinished, !ledger.isInterrupted {
                repeat { work.step() } while !work.isBetweenPasses && !ledger.isInterrupted
                ledger.record([(exit, work.state, 0.99 * work.progress)], latest: work.latest)
            }
            if work.isFinished { ledger.record([(exit, .finished(work.finish()), 1)], latest: work.latest) }
        }
    }

    /// Trains exits, every rank some of them with all of their rows, epoch by epoch: after each all ranks know where all
    /// exits stand.
    private func trainDivided(_ open: [Int], teacher: [Float]?) {
        let own = open.enumerated().filter { $0.offset % ranks.rankCount == ranks.rank }.map(\.element)
        let threads = max(1, trainer.threads / max(1, min(trainer.threads, own.count)))
        let works = Parallel.map(own.count, threads: trainer.threads) { index in
            ExitWork(
                task(own[index], teacher: teacher, threads: threads), state: ledger.state.exits[own[index]],
                memoryBudget: 0)
        }
        while open.contains(where: { !ledger.state.exits[$0].isFinished }), !ledger.isInterrupted {
            let moved = own.indices.filter { !ledger.state.exits[own[$0]].isFinished }
            let entries = Parallel.map(moved.count, threads: trainer.threads) { index -> SharedProgress.Entry in
                let work = works[moved[index]]
                repeat { if !work.isFinished { work.step() } } while !work.isBetweenPasses
                let exit = own[moved[index]]
                return work.isFinished
                    ? SharedProgress.Entry(exit: exit, state: .finished(work.finish()), fraction: 1)
                    : SharedProgress.Entry(exit: exit, state: work.state, fraction: 0.99 * work.progress)
            }
            let all = SharedProgress(entries).exchanged(among: ranks).entries
            ledger.record(all.map { ($0.exit, $0.state, $0.fraction) }, latest: works.first?.latest)
        }
    }

    /// Trains all exits in step, the others learning from what the final one says of the batch; every rank does all of it.
    private func trainTogether() {
        guard ledger.state.finishedCount < exits.count else { return }
        let works = exits.indices.map {
            ExitWork(task($0, teacher: nil, threads: 1), state: ledger.state.exits[$0], memoryBudget: 0)
        }
        var hasWork: Bool { works.contains { !$0.isFinished } }
        while hasWork, !ledger.isInterrupted {
            repeat {
                stepTogether(works)
            } while !works.allSatisfy(\.isBetweenPasses) && !(ranks.isAlone && ledger.isInterrupted)
            ledger.record(
                works.indices.map { ($0, works[$0].state, 0.99 * works[$0].progress) }, latest: works[final].latest)
        }
        guard !hasWork else { return }
        let teachers = works[final].teacherLogits()
        let finished = Parallel.map(works.count, threads: trainer.threads) { exit in
            works[exit].finish(teachers: exit == final ? nil : teachers)
        }
        ledger.record(finished.enumerated().map { ($0, .finished($1), 1) }, latest: works[final].latest)
    }

    private func stepTogether(_ works: [ExitWork]) {
        // Exits end when their own patience does, so any that is at work says where all are.
        guard let place = works.first(where: { !$0.isFinished })?.place else { return }
        let teachers = works[final].teacherLogits(epoch: place.epoch, batch: place.batch)
        Parallel.forEach(works.count, threads: trainer.threads) { exit in
            if !works[exit].isFinished { works[exit].step(teachers: exit == final ? nil : teachers) }
        }
    }

    private func task(_ exit: Int, teacher: [Float]?, threads: Int) -> ExitTask {
        let settings = trainer.settings
        let rows = exits[exit]
        let form = HeadForm(settings.architecture, classCount: classCount, width: rows.train.features.width)
        let sharing: any Communicator = sharesRows ? ranks : OneProcess()
        let standardization =
            form.takesStandardizedRows
            ? Standardization(of: rows.train.features, threads: threads, ranks: sharing) : nil
        let seed = SplitMix64.hash(seed: trainer.seed, id: UInt64(exit))
        return ExitTask(
            settings: settings, train: teacher.map { rows.train.taught(by: $0) } ?? rows.train, tune: rows.tune,
            form: form,
            loss: settings.loss.headLoss(labels: rows.train.labels, classCount: classCount, isFinal: exit == final),
            standardization: standardization,
            start: initial.map { form.values(of: $0[exit], standardization: standardization) }
                ?? form.start(seed: seed),
            seed: seed, batchSeed: trainer.seed, threads: threads, ranks: sharing, tolerance: trainer.tolerance)
    }
}

/// One exit's training, whichever way it goes.
private final class ExitWork: @unchecked Sendable {
    // Safe to share: one task at a time works on it. Of the two one is there; they stand apart, so that each is changed in
    // place.
    private var fullBatch: FullBatchTraining?
    private var minibatch: MinibatchTraining?

    init(_ task: ExitTask, state: TrainingState.Exit, memoryBudget: Int) {
        switch task.settings.optimizer {
        case .lbfgs(let settings):
            var own: FullBatchTraining.State?
            if case .fullBatch(let state) = state { own = state }
            fullBatch = FullBatchTraining(task, settings, state: own, memoryBudget: memoryBudget)
        case .minibatch(let settings):
            var own: MinibatchTraining.State?
            if case .minibatch(let state) = state { own = state }
            minibatch = MinibatchTraining(task, settings, state: own)
        }
    }

    var state: TrainingState.Exit { fullBatch.map { .fullBatch($0.state) } ?? .minibatch(steps.state) }
    var isFinished: Bool { fullBatch?.isFinished ?? steps.isFinished }
    var isBetweenPasses: Bool { minibatch?.isBetweenEpochs ?? true }
    var progress: Double { fullBatch?.progress ?? steps.progress }
    var latest: LearningCurvePoint? { fullBatch.map { $0.state.curve.last } ?? steps.state.curve.last }

    /// Where minibatches stand.
    var place: (epoch: Int, batch: Int) { (steps.state.epoch, steps.state.batch) }

    private var steps: MinibatchTraining {
        guard let minibatch else { preconditionFailure("a training on minibatches") }
        return minibatch
    }

    func step(teachers: [[Float]]? = nil) {
        fullBatch?.step()
        minibatch?.step(teachers: teachers)
    }

    func teacherLogits(epoch: Int, batch: Int) -> [[Float]] { minibatch!.logits(epoch: epoch, batch: batch) }

    func teacherLogits() -> [[Float]] { steps.logits() }

    func finish(teachers: [[Float]]? = nil) -> TrainingState.Finished {
        if let fullBatch {
            return TrainingState.Finished(solutions: fullBatch.solutions, curve: fullBatch.state.curve)
        }
        return TrainingState.Finished(solutions: steps.solutions(teachers: teachers), curve: steps.state.curve)
    }
}
