import Foundation
import Ranks

/// Where some exits stand, as ranks tell each other.
struct SharedProgress: Codable, Sendable {
    /// One exit.
    struct Entry: Codable, Sendable {
        var exit: Int
        var state: TrainingState.Exit
        /// The share of its work that is done.
        var fraction: Double
    }

    var entries: [Entry]

    init(_ entries: [Entry]) { self.entries = entries }

    /// What all ranks have, in the order of the exits.
    ///
    /// - Complexity: O(parameters of these exits).
    func exchanged(among ranks: any Communicator) -> SharedProgress {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        guard let own = try? encoder.encode(self) else { preconditionFailure("a state is numbers") }
        let all = ranks.gatheredParts([UInt8](own)).flatMap { bytes in
            guard let part = try? PropertyListDecoder().decode(SharedProgress.self, from: Data(bytes)) else {
                preconditionFailure("ranks run the same program")
            }
            return part.entries
        }
        return SharedProgress(all.sorted { $0.exit < $1.exit })
    }
}
