import Backprop
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import RiskControl
import ThresholdOptimizer

/// What a user wants from a calibration: the data, how to train, which rule, what to guarantee.
///
/// Read one with ``init(reading:)``; every key is described in `docs/recipe.md`.
public struct Recipe: Equatable, Sendable {
    /// The recipe's file as the user named it.
    public var file: String
    /// The recipe's text.
    public var text: String
    /// The SHA-256 of the recipe's text, in lower-case hexadecimal.
    public var textHash: String
    /// What the result is called.
    public var name: String
    /// The features, or the outputs of exits that were trained elsewhere; relative paths are resolved against the recipe's
    /// folder.
    public var data: DataChoice
    /// How samples are divided.
    public var splits: SplitPlan
    /// What splits and minibatches are drawn with.
    public var seed: UInt64
    /// How heads are trained.
    public var training: TrainingSettings
    /// How scores are made.
    public var rule: RuleChoice
    /// Whether the rule is picked from many on tune, `kind: auto`; ``AutomaticRule`` does, and ``rule`` is then what was
    /// picked.
    public var picksRule: Bool
    /// What running up to an exit costs.
    public var cost: CostChoice
    /// What the check of an exit costs, with `layers` and lists; nil where the recipe does not say, and with costs that tell
    /// it themselves.
    public var check: CheckChoice?
    /// How thresholds are searched.
    public var search: SearchChoice
    /// Whether the family of thresholds is picked with the rule.
    public var picksSearch: Bool
    /// Which exits are offered.
    public var exits: ExitChoice
    /// The dual problem: the smallest gap at this speed-up on tune, instead of the highest speed-up within a gap.
    public var minimumSpeedUp: Double?
    /// What is to be certified.
    public var guarantee: Guarantee
    /// The folder results go to; relative paths are resolved against the recipe's folder.
    public var output: String

    /// How scores are made, before weights are known.
    public struct RuleChoice: Equatable, Sendable {
        /// The kind of score.
        public var kind: Policy.RuleDescription.Kind
        /// How the weights are found.
        public var weights: ExitWeights
        /// How much of the score before is kept on agreement.
        public var memory: Double
        /// What confidence measures.
        public var confidence: ConfidenceMeasure
        /// What happens on disagreement.
        public var restart: BEEMRule.Restart
        /// By how much numbers may differ that count as the same, where heads predict numbers; nil for classes.
        public var tolerance: Double?

        /// Creates a choice; the defaults are the paper's rule with BEEM-A weights.
        public init(
            kind: Policy.RuleDescription.Kind = .beem, weights: ExitWeights = .accuracy, memory: Double = 1,
            confidence: ConfidenceMeasure = .maxProbability, restart: BEEMRule.Restart = .current,
            tolerance: Double? = nil
        ) {
            self.kind = kind
            self.weights = weights
            self.memory = memory
            self.confidence = confidence
            self.restart = restart
            self.tolerance = tolerance
        }

        /// Whether what confidences can measure is enough for the rule.
        public func isPossible(with measures: Set<ConfidenceMeasure>) -> Bool {
            !kind.usesConfidence || measures.contains(confidence)
        }
    }

    /// What running up to an exit costs.
    public enum CostChoice: Equatable, Sendable {
        /// 1, 2, ..., exits.
        case layers
        /// Cumulative costs, strictly increasing.
        case list([Double])
        /// Floating-point operations of an encoder.
        case flops(FlopsChoice)
        /// Measured times.
        case timings(TimingsChoice)
        /// Measured times of batches, to which the survivors of every exit are regrouped.
        case batches(BatchesChoice)
    }

    /// Which exits are offered.
    public enum ExitChoice: Equatable, Sendable {
        /// Every one.
        case all
        /// Those that pay for their checks; ``ExitSelection`` finds them on tune.
        case choose
        /// Some, rising, 0-based, and the final layer.
        case given([Int])
    }

    /// How thresholds are searched.
    public enum SearchChoice: Equatable, Sendable {
        /// One threshold for all exits, exact.
        case single
        /// Thresholds along a curve over depth, exact for a given shape: one shared threshold, moved up or down at each
        /// exit by so many standard deviations of the scores. nil: the slope is picked on tune; see ``DepthCurve``.
        case curve(DepthCurve?)
        /// Thresholds between one for all and one for each exit: the found ones, drawn towards their mean so that this
        /// share of their differences is left.
        case shrunk(share: Double, starts: Int, moves: CoordinateSearch.Moves)
        /// A threshold for each exit, by coordinate search from several starts.
        case perExitCoordinate(starts: Int, moves: CoordinateSearch.Moves)
        /// A threshold for each exit, on a grid of quantiles.
        case perExitGrid(values: Int)
    }

}

extension ExitWeights {
    /// What recipes and policies call it.
    public var name: String {
        switch self {
        case .accuracy: "accuracy"
        case .cost: "cost"
        case .logOdds: "log-odds"
        case .uniform: "uniform"
        case .authorsCode: "authors-code"
        case .given: "given"
        }
    }
}
