import Foundation
import Ranks
import Safetensors
import Synchronization

/// Where results and messages go.
enum StandardStreams {
    /// Ranks but the first have nothing to say: it would be the same.
    private static var isMuted: Bool { !Job.ranks.isFirst }

    /// Whether a line that is to be drawn over, a progress bar's, stands on standard error.
    private static let hasDrawing = Mutex(false)

    /// Writes results to standard output.
    ///
    /// - Throws: ``InputError`` when that is a full disk, say; `FileHandle.write(_:)` would end the process.
    static func writeOutput(_ data: Data) throws(InputError) {
        if isMuted { return }
        do {
            try FileHandle.standardOutput.write(contentsOf: data)
        } catch {
            throw InputError(
                .unwritable, file: "standard output", seen: "cannot be written to (\(error.localizedDescription))",
                expected: "room for \(data.count) bytes", advice: "Free some space, or write to another place.")
        }
    }

    /// Writes a report to standard output; on a terminal what matters stands out.
    ///
    /// - Throws: ``InputError`` when that cannot be written to.
    static func writeReport(_ text: String) throws(InputError) {
        try writeOutput(Data(TerminalStyle.output.styled(text).utf8))
    }

    /// Writes a message to standard error, if that is possible: there is nowhere else to complain. A progress bar that
    /// stands there makes room.
    static func writeMessage(_ text: String) {
        if !isMuted { writeUnmuted(text) }
    }

    /// The same for what any rank must say.
    static func writeUnmuted(_ text: String) {
        hasDrawing.withLock { hasDrawing in
            write((hasDrawing ? clearing : "") + TerminalStyle.errors.styled(text))
            hasDrawing = false
        }
    }

    /// Draws a line over the one drawn before on standard error, which must be a terminal; nil takes it away.
    static func draw(_ line: String?) {
        if isMuted { return }
        hasDrawing.withLock { hasDrawing in
            if let line {
                write("\r\(line)\u{1B}[K")
            } else if hasDrawing {
                write(clearing)
            }
            hasDrawing = line != nil
        }
    }

    private static let clearing = "\r\u{1B}[K"

    private static func write(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
