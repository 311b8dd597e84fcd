import ExitRules
import RiskControl

extension PolicyPath {
    /// [policies]: the moments of every policy's differences, group by group, for the evidence of grouped samples.
    ///
    /// - Parameters:
    ///   - table: scores, and which exit is right.
    ///   - groups: [samples]: samples with the same number may depend on each other.
    /// - Complexity: O(N L + events log P).
    public func groupMoments(on table: ScoreTable, groups: [Int]) -> [GroupMoments] {
        precondition(groups.count == table.sampleCount, "a group for each sample")
        // A sample's difference is constant on each of its stays, so it changes where a stay begins.
        var changes = Array(repeating: [(sample: Int32, difference: Int8)](), count: count)
        forEachStay(on: table) { sample, exit, policies in
            changes[policies.lowerBound].append((Int32(sample), table.flip(exit: exit, sample: sample)))
        }
        var current = Array(repeating: Int8(0), count: table.sampleCount)
        var moments = GroupMoments.running(groups: groups)
        return changes.map { changes in
            for (sample, difference) in changes {
                moments.change(group: groups[Int(sample)], by: Int(difference - current[Int(sample)]))
                current[Int(sample)] = difference
            }
            return moments.summary
        }
    }
}
