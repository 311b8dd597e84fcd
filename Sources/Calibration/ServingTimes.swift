import ExitRules
import FeatureCache
import ThresholdOptimizer

/// What early exit saves when samples are served in batches: mean milliseconds for each sample of a split.
public struct ServingTimes: Codable, Equatable, Sendable {
    /// How many samples run together.
    public let batchSize: Int
    /// Everybody goes to the final layer.
    public let full: Double
    /// The survivors of every exit are regrouped to full batches.
    public let regrouped: Double
    /// A batch goes on with those of its samples that are left.
    public let shrinking: Double

    /// Times a policy on a split, its samples in the order of the file.
    ///
    /// - Complexity: O(samples * exits).
    public init(_ result: CalibrationResult, on split: Split, serving: BatchedServing) {
        let table = result.tables[split]!
        batchSize = serving.batchSize
        full = serving.full(samples: table.sampleCount)
        regrouped = serving.regrouped(released: result.outcome(on: split).released)
        shrinking = serving.shrinking(exitsTaken: table.exitsTaken(result.thresholds))
    }
}
