import RealModule

/// Watches the risk gap of a deployed policy on audited samples, in the order in which they were served.
///
/// An audited sample is one on which the final layer was run as well. Its difference d is the policy's loss minus the
/// final layer's: -1, 0 or 1 with labels. Without labels, d is 1 where the policy's label disagrees with the final
/// layer's and 0 where it agrees, `range` is 0...1, and `allowedGap` is the largest share of disagreement.
///
/// The null is "the mean of d, given the past, is at most `allowedGap`". Two alarms watch it:
/// - ``drift``, the one to act on: a detector for a gap that becomes too large at any time. While the null holds, the
///   mean number of samples to a false alarm is at least what was asked for.
/// - ``sinceRelease``: an e-process for a gap that was too large from the start. While the null holds, the probability
///   that it is ever raised is at most `falseAlarmProbability`. After a long good time it is silent for long: with an
///   allowed gap of 0.01, after 20,000 samples of gap -0.005 it needs about 48,500 of gap +0.02, the detector 1,900
///   (medians; P(b) .02 and P(c) .025, then .04 and .02).
///
/// Both need an audit that is chosen **independently of score, exit and outcome**: a coin tossed for each request. An
/// audit of the early exits alone watches another mean. They hold whatever the dependence between samples, and however
/// often one looks.
///
/// ```swift
/// var monitor = GapMonitor(allowedGap: 0.01)
/// for sample in audit { try monitor.observe(sample.policyLoss - sample.finalLoss) }
/// if let sample = monitor.drift.firstAlarm { print("the gap is too large, noticed at sample \(sample)") }
/// ```
///
/// - Note: An alarm is not an estimate: ``meanDifference`` averages over all samples, before a drift and after.
public struct GapMonitor: Equatable, Sendable {
    /// The largest mean difference that is accepted, epsilon; a fraction.
    public let allowedGap: Double
    /// The range in which every difference lies, whatever the sample.
    public let range: ClosedRange<Double>
    /// How many samples were observed.
    public private(set) var sampleCount = 0
    /// The sum of their differences.
    public private(set) var sum = 0.0
    /// The e-process: a gap that was too large from the start.
    public private(set) var sinceRelease: Line
    /// The detector: a gap that became too large at some time.
    public private(set) var drift: Line

    private var process: EProcess
    private var detector: EDetector

    /// Creates a monitor; all of it is to be fixed before the first sample.
    ///
    /// - Parameters:
    ///   - allowedGap: strictly between the ends of `range`.
    ///   - range: of the differences, finite; 0...1 for disagreement.
    ///   - falseAlarmProbability: of ``sinceRelease``, ever; in (0, 1).
    ///   - meanSamplesToFalseAlarm: of ``drift``; 1 to 1e12.
    public init(
        allowedGap: Double, range: ClosedRange<Double> = -1...1, falseAlarmProbability: Double = 0.05,
        meanSamplesToFalseAlarm: Double = 10_000
    ) {
        precondition(falseAlarmProbability > 0 && falseAlarmProbability < 1, "a probability lies between 0 and 1")
        precondition(
            meanSamplesToFalseAlarm >= 1 && meanSamplesToFalseAlarm <= 1e12,
            "a mean number of samples is at least 1 and not beyond what can be audited")
        let grid = { BetGrid(allowedGap: allowedGap, range: range, horizon: $0) }
        self.allowedGap = allowedGap
        self.range = range
        process = EProcess(grid: grid(EProcess.horizon))
        detector = EDetector(grid: grid(meanSamplesToFalseAlarm))
        sinceRelease = Line(threshold: 1 / falseAlarmProbability, logarithm: process.logarithm)
        drift = Line(threshold: meanSamplesToFalseAlarm, logarithm: detector.logarithm)
    }

    /// The mean of the differences so far; nil before the first sample.
    public var meanDifference: Double? { sampleCount == 0 ? nil : sum / Double(sampleCount) }

    /// Takes the difference of the next audited sample.
    ///
    /// - Throws: ``RiskControlError/differenceOutsideRange(sample:value:range:)``, samples counted from 0; the monitor is
    ///   then as it was.
    /// - Complexity: O(1): some twenty logarithms and exponentials.
    public mutating func observe(_ difference: Double) throws(RiskControlError) {
        guard range.contains(difference) else {
            throw .differenceOutsideRange(sample: sampleCount, value: difference, range: range)
        }
        sampleCount += 1
        sum += difference
        process.observe(difference)
        detector.observe(difference)
        sinceRelease.update(logarithm: process.logarithm, sampleCount: sampleCount)
        drift.update(logarithm: detector.logarithm, sampleCount: sampleCount)
    }
}

extension GapMonitor {
    /// One of the two lines of evidence: its value, and the alarm that is raised when it reaches its threshold.
    public struct Line: Equatable, Sendable {
        /// The value at which the alarm is raised.
        public let threshold: Double
        /// The logarithm to base 10 of the present value. Minus infinity for ``GapMonitor/drift`` before the first
        /// sample, whose value is 0; finite from then on.
        public private(set) var log10Value: Double
        /// How many samples had been observed when the alarm was first raised; nil if it never was. It stays, also when
        /// the value falls again.
        public private(set) var firstAlarm: Int?

        /// A line before the first sample.
        fileprivate init(threshold: Double, logarithm: Double) {
            self.threshold = threshold
            log10Value = logarithm / .log(10)
        }

        /// The logarithm to base 10 of the threshold.
        public var log10Threshold: Double { .log10(threshold) }

        /// Takes the logarithm (base e) of the value after `sampleCount` samples.
        fileprivate mutating func update(logarithm: Double, sampleCount: Int) {
            log10Value = logarithm / .log(10)
            if firstAlarm == nil, logarithm >= .log(threshold) { firstAlarm = sampleCount }
        }
    }
}
