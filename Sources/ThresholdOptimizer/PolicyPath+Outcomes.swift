import Evaluation
import ExitRules

extension PolicyPath {
    /// [policies]: what every policy does on a table, exit by exit; the same as ``evaluate(_:on:)`` one by one.
    ///
    /// ``points(on:)`` says less and takes less memory: this is for a few hundred policies that somebody looks at.
    ///
    /// - Complexity: O(N L + events log P + P L); memory O(P L).
    public func outcomes(on table: ScoreTable) -> [Outcome] {
        // [exits][policies + 1]: by how many samples a count changes from the policy before.
        var released = Array(repeating: Array(repeating: 0, count: count + 1), count: table.exitCount)
        var wrong = released
        forEachStay(on: table) { sample, exit, policies in
            released[exit][policies.lowerBound] += 1
            released[exit][policies.upperBound] -= 1
            if !table.isCorrect[exit][sample] {
                wrong[exit][policies.lowerBound] += 1
                wrong[exit][policies.upperBound] -= 1
            }
        }
        var nowReleased = Array(repeating: 0, count: table.exitCount)
        var nowWrong = nowReleased
        return zip(0..., points(on: table)).map { policy, point in
            for exit in nowReleased.indices {
                nowReleased[exit] += released[exit][policy]
                nowWrong[exit] += wrong[exit][policy]
            }
            return Outcome(
                counts: point.counts, released: nowReleased, wrong: nowWrong, costs: table.costs,
                fullCost: table.fullCost)
        }
    }
}
