import ExitRules
import Statistics
import ThresholdOptimizer

/// What a policy does on a split, exit by exit, beside what the reference does on the same samples.
public struct PolicyOnSplit: Codable, Equatable, Sendable {
    /// How many samples.
    public var samples: Int
    /// How many the policy gets wrong.
    public var errors: Int
    /// Error rate of the policy.
    public var error: Double
    /// An upper bound of the policy's error rate with 95 % confidence, exact, on the total.
    public var errorBound: Double
    /// Error rate of the reference, the final layer usually.
    public var referenceError: Double
    /// `error - referenceError`.
    public var gap: Double
    /// A two-sided 95 % interval of the gap; nil where something was chosen on the split, or samples come in groups.
    public var gapInterval: [Double]?
    /// Early wrong and reference right.
    public var harmfulFlips: Int
    /// Early right and reference wrong.
    public var helpfulFlips: Int
    /// The final layer's cost over the mean cost of the exits taken.
    public var speedUp: Double
    /// The exits in order.
    public var exits: [Exit]

    /// The samples that leave at an exit.
    public struct Exit: Codable, Equatable, Sendable {
        /// How many leave here.
        public var released: Int
        /// The same as a share of all samples.
        public var share: Double
        /// How many of them are wrong.
        public var wrong: Int
        /// The share of those; nil where nobody leaves.
        public var error: Double?
        /// The exact two-sided 95 % interval of that rate (Clopper and Pearson): [lower, upper]; nil where nobody leaves.
        public var interval: [Double]?
        /// `wrong` as a share of all samples: what this exit adds to the error rate.
        public var contribution: Double
        /// The share of the same samples that the reference gets wrong; nil where nobody leaves.
        public var referenceError: Double?
        /// Early wrong and reference right, of those that leave here.
        public var harmfulFlips: Int
        /// Early right and reference wrong, of those that leave here.
        public var helpfulFlips: Int
    }

    /// Counts a policy on a split.
    ///
    /// - Parameter gapInterval: the interval of the gap, where it means what it says.
    /// - Complexity: O(samples * exits).
    public init(_ thresholds: Thresholds, on table: ScoreTable, gapInterval: [Double]? = nil) {
        let outcome = evaluate(thresholds, on: table)
        var flips = Array(repeating: (harmful: 0, helpful: 0, referenceWrong: 0), count: table.exitCount)
        for (sample, exit) in table.exitsTaken(thresholds).enumerated() {
            switch table.flip(exit: exit, sample: sample) {
            case 1: flips[exit].harmful += 1
            case -1: flips[exit].helpful += 1
            default: break
            }
            if !table.referenceIsCorrect[sample] { flips[exit].referenceWrong += 1 }
        }
        let count = outcome.sampleCount
        func rate(_ part: Int, of whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
        samples = count
        errors = outcome.errors
        error = outcome.errorRate
        errorBound = BinomialInterval.upperBound(successes: outcome.errors, trials: count, errorProbability: 0.05)
        referenceError = rate(outcome.referenceErrors, of: count)
        gap = outcome.counts.riskGap
        self.gapInterval = gapInterval
        harmfulFlips = outcome.counts.harmfulFlips
        helpfulFlips = outcome.counts.helpfulFlips
        speedUp = outcome.speedUp
        exits = flips.enumerated().map { exit, flips in
            let (released, wrong) = (outcome.released[exit], outcome.wrong[exit])
            let interval = released == 0 ? nil : BinomialInterval(successes: wrong, trials: released)
            return Exit(
                released: released, share: rate(released, of: count), wrong: wrong,
                error: released == 0 ? nil : rate(wrong, of: released),
                interval: interval.map { [$0.lower, $0.upper] }, contribution: rate(wrong, of: count),
                referenceError: released == 0 ? nil : rate(flips.referenceWrong, of: released),
                harmfulFlips: flips.harmful, helpfulFlips: flips.helpful)
        }
    }
}
