import Foundation
import Synchronization

/// Ctrl-C while there is work to be saved: the first asks the work to end, the second ends the process at once.
struct InterruptSignal: Sendable {
    /// What shells report for an end by this signal.
    static let exitCode: Int32 = 128 + SIGINT

    private static let count = Atomic(0)

    /// From here on the signal does not end the process at once.
    init() {
        // Made before a handler asks for it: what a handler may do is next to nothing.
        Self.count.store(0, ordering: .relaxed)
        signal(SIGINT) { _ in
            if InterruptSignal.count.add(1, ordering: .relaxed).newValue > 1 { _exit(InterruptSignal.exitCode) }
        }
        // Who started the process from a thread that blocks signals has passed that on.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Gives the signal its usual meaning back.
    func end() { signal(SIGINT, SIG_DFL) }

    /// Whether somebody asked for the end.
    var isRaised: Bool { Self.count.load(ordering: .relaxed) > 0 }
}
