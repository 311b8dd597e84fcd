import Safetensors

/// How someone who started a training follows it, keeps it safe and ends it. All are called from any thread, one at a
/// time but for `isInterrupted`.
public struct TrainingControl: Sendable {
    /// What there is to tell after a pass of one exit.
    public struct Progress: Equatable, Sendable {
        /// The share of all the work that is done, in 0...1.
        public var fraction: Double
        /// How many heads are done.
        public var finishedCount: Int
        /// The last pass.
        public var latest: LearningCurvePoint?
    }

    /// Told after each pass.
    public var progress: @Sendable (Progress) -> Void
    /// Given the state after each pass, but for those that follow the last state within a second; and at an interruption.
    /// What it throws ends the training.
    public var save: @Sendable (TrainingState) throws(InputError) -> Void
    /// Asked before each step.
    public var isInterrupted: @Sendable () -> Bool

    /// Creates a control; by default nobody follows.
    public init(
        progress: @escaping @Sendable (Progress) -> Void = { _ in },
        save: @escaping @Sendable (TrainingState) throws(InputError) -> Void = { _ in },
        isInterrupted: @escaping @Sendable () -> Bool = { false }
    ) {
        self.progress = progress
        self.save = save
        self.isInterrupted = isInterrupted
    }
}

/// How a training ended.
public enum TrainingOutcome: Equatable, Sendable {
    /// [exits]
    case finished([TrainedHead])
    /// By whoever may interrupt it; the state goes on where it was, to the last bit.
    case interrupted(TrainingState)
}
