import Evaluation
import ExitPolicy
import ExitRules
import Foundation
import Safetensors
import ThresholdOptimizer

/// The exact frontier of one shared threshold on a split, as rows of a file: what each threshold costs and errs.
///
/// It says what was, on these samples. To choose a threshold by it and to believe its error rate is what certificates are
/// there to prevent.
public struct FrontierTable: Sendable {
    /// One policy.
    public struct Row: Encodable, Equatable, Sendable {
        /// The threshold; nil is "never leave early".
        @ExplicitNull public var threshold: Double?
        /// The mean cost of the exits taken.
        public var meanCost: Double
        /// The final layer's cost over it.
        public var speedUp: Double
        /// The fraction of wrong labels.
        public var error: Double
        /// The risk gap to the reference.
        public var gap: Double
        /// Early wrong and reference right.
        public var harmfulFlips: Int
        /// Early right and reference wrong.
        public var helpfulFlips: Int
    }

    /// Which points of the frontier are rows.
    public enum Points: String, CaseIterable, Sendable {
        /// Those that no other point beats in both error and cost.
        case efficient
        /// Every distinct policy.
        case all
    }

    /// From "never leave early" to the fastest.
    public let rows: [Row]

    /// Sweeps a table.
    ///
    /// - Complexity: that of `SingleThresholdFrontier`.
    public init(_ table: ScoreTable, points: Points = .efficient) {
        let frontier = SingleThresholdFrontier(table)
        let samples = Double(max(frontier.sampleCount, 1))
        rows = (points == .all ? frontier.points : frontier.efficientPoints).map { point in
            Row(
                threshold: point.threshold, meanCost: point.costSum / samples, speedUp: frontier.speedUp(of: point),
                error: Double(frontier.errors(of: point)) / samples, gap: frontier.counts(of: point).riskGap,
                harmfulFlips: point.harmfulFlips, helpfulFlips: point.helpfulFlips)
        }
    }

    /// The rows in CSV, with a header; "never" is an empty threshold. Numbers are written so that reading gives them back.
    public var csv: String {
        var text = "threshold,mean_cost,speed_up,error,gap,harmful_flips,helpful_flips\n"
        for row in rows {
            let threshold = row.threshold.map { "\($0)" } ?? ""
            text += "\(threshold),\(row.meanCost),\(row.speedUp),\(row.error),\(row.gap),"
            text += "\(row.harmfulFlips),\(row.helpfulFlips)\n"
        }
        return text
    }

    /// Writes the rows in CSV, all or nothing.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    public func write(to path: String) throws(InputError) { try AtomicFile.write(Data(csv.utf8), to: path) }
}
