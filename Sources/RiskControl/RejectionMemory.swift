import Evaluation
import Synchronization

/// Decisions of exact trinomial tests, remembered: a study asks for the same outcomes again and again.
///
/// On a line of equal discordance the p-value rises with the harmful flips, so one rejection settles all outcomes with
/// fewer of them, and one refusal all with more. From line to line nothing is concluded.
public final class RejectionMemory: Sendable {
    /// What is remembered together.
    private struct Line: Hashable {
        var samples: Int
        var discordant: Int
        var allowedGap: Double
        var nuisanceError: Double
        var level: Double
    }

    /// The most harmful flips known to be rejected, and the fewest known not to be.
    private struct Limits {
        var rejected = -1
        var refused = Int.max
    }

    private let lines = Mutex<[Line: Limits]>([:])

    /// Creates an empty memory.
    public init() {}

    /// The same as ``ExactTrinomialTest/isRejected(_:at:)``. Any number of threads may ask at once.
    ///
    /// - Complexity: O(1) where it is known, otherwise a decision of the test.
    public func isRejected(_ counts: PairedCounts, by test: ExactTrinomialTest, at level: Double) -> Bool {
        let line = Line(
            samples: counts.samples, discordant: counts.discordant, allowedGap: test.allowedGap,
            nuisanceError: test.nuisanceError, level: level)
        let known = lines.withLock { $0[line] } ?? Limits()
        if counts.harmfulFlips <= known.rejected { return true }
        if counts.harmfulFlips >= known.refused { return false }
        let isRejected = test.isRejected(counts, at: level)
        lines.withLock { lines in
            var limits = lines[line] ?? Limits()
            if isRejected {
                limits.rejected = max(limits.rejected, counts.harmfulFlips)
            } else {
                limits.refused = min(limits.refused, counts.harmfulFlips)
            }
            lines[line] = limits
        }
        return isRejected
    }
}
