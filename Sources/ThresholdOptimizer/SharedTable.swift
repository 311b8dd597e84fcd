import ExitRules
import Ranks

/// A split's scores, each rank with its part of the samples: what is asked of all of them is counted by every rank and
/// added up, so that what ranks exchange does not grow with the samples.
///
/// All ranks ask the same at the same time. With one process it is a table and nothing else.
public struct SharedTable: Sendable {
    /// This rank's samples.
    public let table: ScoreTable
    /// Who has the others.
    public let ranks: any Communicator
    /// How many samples all ranks have.
    public let sampleCount: Int

    /// Shares a table.
    public init(_ table: ScoreTable, among ranks: any Communicator = OneProcess()) {
        self.table = table
        self.ranks = ranks
        sampleCount = ranks.sums([table.sampleCount])[0]
    }

    /// What some thresholds do; the same as ``evaluate(_:on:)`` on all samples.
    ///
    /// - Complexity: O(own samples * exits); exchanges 2 exits + 2 numbers.
    public func outcome(of thresholds: Thresholds) -> Outcome {
        Outcome(
            counted: ranks.sums(countOutcome(of: thresholds, on: table)), samples: sampleCount, costs: table.costs,
            fullCost: table.fullCost)
    }

    /// [policies]: what every policy of a path does; the same as ``PolicyPath/points(on:)`` on all samples.
    ///
    /// - Complexity: that of ``PolicyPath/points(on:)`` on the own samples; exchanges policies * (exits + 2) numbers.
    public func points(of path: PolicyPath) -> [PolicyPath.Point] {
        path.points(
            changes: ranks.sums(path.changes(on: table)), sampleCount: sampleCount, costs: table.costs)
    }

    /// How many samples an exit gets wrong.
    public func errors(ofExit exit: Int) -> Int { ranks.sums([table.isCorrect[exit].count { !$0 }])[0] }
}
