import ExitPolicy
import ExitRules
import FeatureCache
import ThresholdOptimizer

/// What a calibration found.
public struct CalibrationResult: Sendable {
    /// [exits]: the weights.
    public let weights: [Double]
    /// The rule with its weights.
    public let rule: any ExitRule
    /// The exit that policies are compared with; the final layer usually.
    public let reference: Int
    /// The certified thresholds, or those that never leave early.
    public let thresholds: Thresholds
    /// The fastest thresholds within the allowed gap on the tune split; not certified.
    public let tunedThresholds: Thresholds
    /// Ways to set thresholds on the tune split that carry no certificate, by name: how much they promise on tune and
    /// keep on test shows what certification is for.
    public let tunedAlternatives: [(name: String, thresholds: Thresholds)]
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?
    /// How many of them were put in order for the certify split.
    public let sequenceLength: Int
    /// All policies that the search on tune offered, from safe to fast.
    public let candidates: PolicyPath
    /// Those that were tested on certify, in order, as places in ``candidates``.
    public let tested: [Int]
    /// Those of them that passed; the last is the policy.
    public let passed: [Int]
    /// Parts of the population with too few certify samples for any outcome to be certified.
    public let partsTooSmall: [String]
    /// How far the thresholds that were found are from the best of a grid, on tune; nil for one shared threshold, whose
    /// search is exact.
    public let optimality: Optimality?
    /// The scores of every split, with errors as the loss.
    public let tables: [Split: ScoreTable]

    /// What is known of the best thresholds of their own for each exit.
    public struct Optimality: Equatable, Sendable {
        /// The speed-up on tune of the best that the search found.
        public let found: Double
        /// No thresholds of the grid have a higher one.
        public let bound: Double
        /// How many values each exit has on that grid, beside never.
        public let valuesPerExit: Int
    }

    /// How many policies the search on tune offered.
    public var candidateCount: Int { candidates.count }
    /// How many were tested on certify.
    public var testedCount: Int { tested.count }

    /// What some thresholds do on a split.
    ///
    /// - Complexity: O(samples * exits).
    public func outcome(of thresholds: Thresholds, on split: Split) -> Outcome {
        evaluate(thresholds, on: tables[split]!)
    }

    /// What the policy does on a split.
    public func outcome(on split: Split) -> Outcome { outcome(of: thresholds, on: split) }

    /// The final layer's error rate on a split.
    public func finalError(on split: Split) -> Double {
        let final = tables[split]!.isCorrect[tables[split]!.exitCount - 1]
        return Double(final.count { !$0 }) / Double(max(final.count, 1))
    }
}
