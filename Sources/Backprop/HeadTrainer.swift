import ExitHeads
import LinearAlgebra
import Ranks
import Safetensors
import Statistics

/// One exit's rows: what its head learns from, and what is chosen by.
public struct ExitRows: Sendable {
    /// The train split.
    public var train: LabelledRows
    /// The tune split.
    public var tune: LabelledRows

    /// Collects the two splits.
    public init(train: LabelledRows, tune: LabelledRows) {
        self.train = train
        self.tune = tune
    }
}

/// Trains the heads of all exits.
///
/// Exits are independent, so as many are trained at the same time as there are threads, each with all of its passes in
/// turn: in a cache the features of an exit lie together, so they are streamed once per pass, and stay in the system's
/// memory from pass to pass. Heads that learn from the final one come after it, or, where it is trained together with
/// them, go batch by batch in step.
public struct HeadTrainer: Sendable {
    /// How heads are trained.
    public var settings: TrainingSettings
    /// How many threads may be used; results do not depend on it.
    public var threads: Int
    /// What minibatches, initial parameters and dropout are drawn with.
    public var seed: UInt64
    /// The most bytes that all exits in training together may spend on keeping rows in Float32 between passes, where heads have
    /// so many outputs that it helps; results do not depend on it.
    public var memoryBudget: Int
    /// By how much a number may miss before it counts as an error; for squared error alone.
    public var tolerance: Double
    /// Who shares the work; results do not depend on how many they are. Full batches are divided by rows; heads that are
    /// trained on minibatches are divided among the ranks, each with all rows of its own.
    public var ranks: any Communicator

    /// Creates a trainer.
    public init(
        settings: TrainingSettings, threads: Int = Parallel.availableThreads, seed: UInt64 = 0,
        memoryBudget: Int = 48 << 20, tolerance: Double = 0, ranks: any Communicator = OneProcess()
    ) {
        self.settings = settings
        self.threads = threads
        self.seed = seed
        self.memoryBudget = memoryBudget
        self.tolerance = tolerance
        self.ranks = ranks
    }

    /// Trains the head of every exit with each L2 penalty, and keeps those with the lowest loss on the tune split.
    ///
    /// - Parameters:
    ///   - exits: [exits]
    ///   - classCount: how many classes there are; 1 to predict a number.
    ///   - initial: [exits]: heads of the settings' architecture to start from, on features as they come.
    ///   - state: where an interrupted training of the same rows with the same settings and seed stood.
    ///   - control: who follows.
    /// - Throws: what `control.save` throws.
    /// - Complexity: O(exits * penalties * passes * rows * parameters); with L-BFGS also O(width³) per penalty.
    public func train(
        _ exits: [ExitRows], classCount: Int, initial: [ExitHead]? = nil, resuming state: TrainingState? = nil,
        control: TrainingControl = TrainingControl()
    ) throws(InputError) -> TrainingOutcome {
        precondition(state.map { $0.exitCount == exits.count } ?? true, "the state of this training")
        let ledger = TrainingLedger(state ?? TrainingState(exitCount: exits.count), control, ranks: ranks)
        let session = TrainingSession(
            trainer: self, exits: exits, classCount: classCount, initial: initial, ledger: ledger)
        session.run()
        if let failure = ledger.failure { throw failure }
        let end = ledger.state
        guard end.finishedCount == exits.count else {
            ledger.save()
            if let failure = ledger.failure { throw failure }
            return .interrupted(end)
        }
        return .finished(
            end.exits.map { exit in
                guard case .finished(let finished) = exit else { preconditionFailure("all are finished") }
                return finished.trained
            })
    }

    /// Trains one head; see the version for all exits.
    public func train(
        _ train: LabelledRows, tune: LabelledRows, classCount: Int, initial: ExitHead? = nil
    ) -> TrainedHead {
        let outcome = try? self.train(
            [ExitRows(train: train, tune: tune)], classCount: classCount, initial: initial.map { [$0] })
        guard case .finished(let heads)? = outcome else { preconditionFailure("nobody interrupts or fails to save") }
        return heads[0]
    }

    /// The objective of a saved linear head, in nats: mean cross-entropy plus the penalty on the weights of standardised
    /// features.
    ///
    /// - Complexity: O(rows * width * classes).
    public func objective(of head: LinearHead, on rows: LabelledRows, l2: Double) -> Double {
        let standardization = Standardization(of: rows.features, threads: threads, ranks: ranks)
        let parameters = LinearParameters(head, standardization: standardization)
        let objective = LinearHeadObjective(
            features: rows.features, targets: rows.targets, loss: CrossEntropyLoss(), outputCount: head.classCount,
            standardization: standardization, threads: threads, ranks: ranks)
        return objective.meanLoss([parameters])[0] + l2 / 2 * parameters.squaredWeights
    }
}
