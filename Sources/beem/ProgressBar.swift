import Backprop
import Foundation
import Synchronization

/// A bar on standard error for steps that take a while; silent when that is not a terminal.
final class ProgressBar: Sendable {
    private let title: String
    private let isVisible: Bool
    private let start = Date()
    private let drawing = Mutex(())

    init(_ title: String, isQuiet: Bool) {
        self.title = title
        isVisible = !isQuiet && isatty(STDERR_FILENO) == 1
    }

    /// Shows that `done` of `total` steps are done. Called from any thread.
    @Sendable func show(done: Int, total: Int) {
        draw(fraction: Double(done) / Double(max(total, 1)), what: "\(done)/\(total)")
        if done == total { end() }
    }

    /// Shows how far a training is. Called from any thread.
    func show(_ progress: TrainingControl.Progress, exitCount: Int) {
        var what = "\(progress.finishedCount)/\(exitCount)"
        if let latest = progress.latest {
            what += String(format: ", loss %.4f", latest.tuneLoss ?? latest.trainLoss)
            if let error = latest.tuneError { what += String(format: ", tune error %.1f %%", 100 * error) }
        }
        draw(fraction: progress.fraction, what: what)
    }

    /// Takes the bar away.
    func end() {
        if isVisible { drawing.withLock { _ in StandardStreams.writeMessage("\r\u{1B}[K") } }
    }

    private func draw(fraction: Double, what: String) {
        guard isVisible else { return }
        let filled = Int(30 * fraction)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        let left = Date().timeIntervalSince(start) * (1 / max(fraction, 1e-3) - 1)
        let text = "\r\(title) [\(bar)] \(what), \(Int(left.rounded(.up))) s left\u{1B}[K"
        drawing.withLock { _ in StandardStreams.writeMessage(text) }
    }
}
