import Statistics
import ThresholdOptimizer

/// Where a policy's errors come from, exit by exit, and what can be said of their total.
///
/// `error = sum over exits of share times error rate of those that leave there`. The exits' intervals explain; the bound
/// that may be claimed is the exact one on the total, since a bound put together from the exits would have to bound
/// their shares at the same time.
struct ErrorDecomposition {
    let outcome: Outcome

    /// What an exit contributes to the error rate, a fraction of all samples.
    func contribution(of exit: Int) -> Double {
        outcome.sampleCount == 0 ? 0 : Double(outcome.wrong[exit]) / Double(outcome.sampleCount)
    }

    /// The error rate of those that leave at an exit, with its exact 95 % interval; a dash where nobody leaves.
    func cells(of exit: Int) -> [String] {
        let (wrong, released) = (outcome.wrong[exit], outcome.released[exit])
        guard released > 0 else { return ["-", "", Format.points(0)] }
        let interval = BinomialInterval(successes: wrong, trials: released)
        return [
            Format.percent(Double(wrong) / Double(released)),
            "\(Format.percent(interval.lower)) - \(Format.percent(interval.upper))",
            Format.points(contribution(of: exit)),
        ]
    }

    /// What may be claimed of the total.
    var total: String {
        let bound = BinomialInterval.upperBound(
            successes: outcome.errors, trials: outcome.sampleCount, errorProbability: 0.05)
        return """
            Errors on test in all: \(Format.percent(outcome.errorRate)), at most \(Format.percent(bound)) with 95 % confidence \
            (exact, on the total; the exits' intervals explain, and do not add up to a bound).

            """
    }
}
