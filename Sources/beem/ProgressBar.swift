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
        guard isVisible else { return }
        let filled = 30 * done / max(total, 1)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        let left = Date().timeIntervalSince(start) / Double(max(done, 1)) * Double(total - done)
        let ending = done == total ? "\r\u{1B}[K" : ""
        let text = "\r\(title) [\(bar)] \(done)/\(total), \(Int(left.rounded(.up))) s left \(ending)"
        drawing.withLock { _ in StandardStreams.writeMessage(text) }
    }
}
