import Backprop
import Foundation
import Synchronization

/// A bar on standard error for steps that take a while; silent when that is not a terminal.
final class ProgressBar: Sendable {
    /// A line that changes faster than this cannot be read, and drawing it costs time.
    static let interval = Duration.milliseconds(50)

    private struct State {
        var lastDrawn: ContinuousClock.Instant?
        var isEnded = false
    }

    private let title: String
    private let isVisible: Bool
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(_ title: String, isQuiet: Bool) {
        self.title = title
        isVisible = !isQuiet && TerminalStyle.errors.canRedraw
    }

    /// Shows that `done` of `total` steps are done. Called from any thread.
    @Sendable func show(done: Int, total: Int) {
        draw { text, elapsed in text.line(done: done, total: total, elapsed: elapsed) }
        if done == total { end() }
    }

    /// Shows how far a training is. Called from any thread.
    func show(_ progress: TrainingControl.Progress, exitCount: Int) {
        draw { text, elapsed in
            var what = "\(progress.finishedCount)/\(exitCount)"
            if let latest = progress.latest {
                what += String(format: ", loss %.4f", latest.tuneLoss ?? latest.trainLoss)
                if let error = latest.tuneError { what += String(format: ", tune error %.1f %%", 100 * error) }
            }
            return text.line(fraction: progress.fraction, what: what, elapsed: elapsed)
        }
    }

    /// Takes the bar away, for good.
    func end() {
        guard isVisible else { return }
        state.withLock { state in
            if !state.isEnded { StandardStreams.draw(nil) }
            state.isEnded = true
        }
    }

    /// Draws, unless the last drawing was a moment ago.
    private func draw(_ line: (ProgressText, _ elapsed: Double) -> String) {
        guard isVisible else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            if state.isEnded { return }
            if let last = state.lastDrawn, now - last < Self.interval { return }
            state.lastDrawn = now
            let text = ProgressText(title: title, columns: Self.columns ?? 80)
            StandardStreams.draw(line(text, (now - start) / .seconds(1)))
        }
    }

    /// How wide the terminal is now; nil where it does not say.
    private static var columns: Int? {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
