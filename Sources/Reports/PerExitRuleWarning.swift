import Calibration
import ThresholdOptimizer

/// What is to be said where the paper's per-exit rule holds and the whole is worse than allowed all the same.
struct PerExitRuleWarning {
    /// A sentence.
    let text: String

    /// Nil where there is nothing to warn of.
    ///
    /// - Parameter names: the thresholds that the rule misleads about.
    init?(_ names: [String]) {
        guard !names.isEmpty else { return nil }
        let quoted = names.map { "\"\($0)\"" }.joined(separator: ", ")
        text =
            "at every exit of \(quoted) the error rate is at most the final layer's, and the total is worse than allowed "
            + "all the same: easy samples leave early, and on those the final layer errs less too."
    }
}

extension CalibrationResult {
    /// The thresholds, by name, for which the rule holds on tune while the gap there is above the allowed one.
    ///
    /// - Complexity: O(samples * exits) for each.
    func namesWherePerExitRuleMisleads(allowedGap: Double) -> [String] {
        let constraint = RiskConstraint(allowedGap: allowedGap)
        return (tunedAlternatives + [("this policy", thresholds)]).filter {
            !constraint.admits(outcome(of: $0.thresholds, on: .tune).counts)
                && PerExitRule.holds(for: $0.thresholds, on: tables[.tune]!)
        }.map(\.name)
    }
}
