import Calibration
import FeatureCache
import ThresholdOptimizer

/// When the paper's per-exit rule misleads: it holds on tune, and the policy is worse than allowed all the same.
public enum PerExitRuleWarning {
    /// What is said.
    public static let text =
        "the paper's per-exit rule holds on tune for thresholds whose risk gap there is above the allowed one: errors of "
        + "the early exits below the final layer's error rate do not bound the total (see docs/recipe.md)"

    /// Whether any thresholds that were tried mislead.
    public static func applies(to result: CalibrationResult, allowedGap: Double) -> Bool {
        let constraint = RiskConstraint(allowedGap: allowedGap)
        return (result.tunedAlternatives.map(\.thresholds) + [result.thresholds]).contains {
            let tune = result.outcome(of: $0, on: .tune)
            return PerExitRule.holds(for: tune) && !constraint.admits(tune.counts)
        }
    }
}
