import Ranks
import Safetensors
import Synchronization

/// Where all exits stand, written down by those who train them.
final class TrainingLedger: Sendable {
    private struct Book {
        var state: TrainingState
        /// [exits]: the share of each one's work that is done.
        var fractions: [Double]
        var lastSave = ContinuousClock.now
        var failure: InputError?
    }

    private let control: TrainingControl
    private let ranks: any Communicator
    private let book: Mutex<Book>

    init(_ state: TrainingState, _ control: TrainingControl, ranks: any Communicator = OneProcess()) {
        self.control = control
        self.ranks = ranks
        book = Mutex(Book(state: state, fractions: state.exits.map { $0.isFinished ? 1 : 0 }))
    }

    /// What is written down.
    var state: TrainingState { book.withLock { $0.state } }

    /// What went wrong when a state was saved; nil when nothing did.
    var failure: InputError? { book.withLock { $0.failure } }

    /// Whether to stop before the next step, because any rank wants to.
    var isInterrupted: Bool { ranks.any(control.isInterrupted() || failure != nil) }

    /// Writes down where exits stand after a pass, tells, and saves if the last time is a second ago.
    ///
    /// - Parameter entries: those that were worked on: all that changed at the same time at once.
    func record(_ entries: [(exit: Int, state: TrainingState.Exit, fraction: Double)], latest: LearningCurvePoint?) {
        book.withLock { book in
            for entry in entries {
                book.state.exits[entry.exit] = entry.state
                book.fractions[entry.exit] = entry.fraction
            }
            control.progress(
                TrainingControl.Progress(
                    fraction: book.fractions.reduce(0, +) / Double(book.fractions.count),
                    finishedCount: book.state.finishedCount, latest: latest))
            if ContinuousClock.now - book.lastSave >= .seconds(1) { Self.save(&book, control) }
        }
    }

    /// Saves what is written down.
    func save() { book.withLock { Self.save(&$0, control) } }

    private static func save(_ book: inout Book, _ control: TrainingControl) {
        guard book.failure == nil else { return }
        do throws(InputError) {
            try control.save(book.state)
        } catch {
            book.failure = error
        }
        book.lastSave = ContinuousClock.now
    }
}
