import Backprop
import Foundation
import Safetensors

/// Where an interrupted training stood, as a file: `training.checkpoint` in the output folder.
///
/// A training that goes on from it ends at the same bytes as one that was never interrupted. The file is a line that
/// names the format, a line with the SHA-256 of the rest, and a binary property list.
public struct TrainingCheckpoint: Sendable {
    /// Which training it is of; see ``Experiment/trainingFingerprint(initial:)``.
    public let fingerprint: String
    /// Where that stood.
    public let state: TrainingState
    /// The file, for messages.
    private let file: String

    private static let formatLine = "beem training checkpoint 1\n"

    private struct Content: Codable {
        var fingerprint: String
        var state: TrainingState
    }

    /// Takes down where a training stands.
    public init(fingerprint: String, state: TrainingState, file: String) {
        self.fingerprint = fingerprint
        self.state = state
        self.file = file
    }

    /// Reads a checkpoint.
    ///
    /// - Throws: `InputError` for a file that is none, or that was changed.
    public init(reading path: String) throws(InputError) {
        func malformed(_ seen: String) -> InputError {
            InputError(
                .malformed, file: path, seen: seen, expected: "a checkpoint as `beem train` writes it",
                advice: "Delete the file and train without --resume.")
        }
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw InputError(
                .unreadable, file: path, seen: error.localizedDescription, expected: "a training checkpoint",
                advice: "Train without --resume.")
        }
        let format = Data(Self.formatLine.utf8)
        let hashCount = 65
        guard data.starts(with: format), data.count > format.count + hashCount else {
            throw malformed("a file that does not start as a checkpoint of this version does")
        }
        let content = Data(data[(data.startIndex + format.count + hashCount)...])
        let hash = String(decoding: data[(data.startIndex + format.count)...].prefix(hashCount - 1), as: UTF8.self)
        guard sha256(of: content) == hash else { throw malformed("content that is not what was written") }
        do {
            let content = try PropertyListDecoder().decode(Content.self, from: content)
            self.init(fingerprint: content.fingerprint, state: content.state, file: path)
        } catch {
            throw malformed("content of another version (\(error))")
        }
    }

    /// Writes the checkpoint, all or nothing.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    /// - Complexity: O(parameters of all heads in training).
    public func write() throws(InputError) {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        guard let content = try? encoder.encode(Content(fingerprint: fingerprint, state: state)) else {
            preconditionFailure("a state is numbers, which a property list holds")
        }
        try AtomicFile.write(Data((Self.formatLine + sha256(of: content) + "\n").utf8) + content, to: file)
    }

    /// Refuses to go on with another training than the one the checkpoint is of.
    ///
    /// - Throws: `InputError`.
    func check(against fingerprint: String) throws(InputError) {
        guard fingerprint == self.fingerprint else {
            throw InputError(
                .mismatch, file: file, seen: "a checkpoint of another training",
                expected: "one of the same features, splits, seed, training settings and version",
                advice: "Restore what was changed, or train without --resume.")
        }
    }
}
