import Foundation
import Safetensors

/// Where results and messages go.
enum StandardStreams {
    /// Writes results to standard output.
    ///
    /// - Throws: ``InputError`` when that is a full disk, say; `FileHandle.write(_:)` would end the process.
    static func writeOutput(_ data: Data) throws(InputError) {
        do {
            try FileHandle.standardOutput.write(contentsOf: data)
        } catch {
            throw InputError(
                .unwritable, file: "standard output", seen: "cannot be written to (\(error.localizedDescription))",
                expected: "room for \(data.count) bytes", advice: "Free some space, or write to another place.")
        }
    }

    /// Writes a message to standard error, if that is possible: there is nowhere else to complain.
    static func writeMessage(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
