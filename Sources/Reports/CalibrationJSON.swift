import Calibration
import ExitPolicy
import FeatureCache
import ThresholdOptimizer

/// What `beem run --json` and `beem calibrate --json` print.
public struct CalibrationJSON: Encodable, Sendable {
    /// The policy against the final layer on one split.
    public struct OnSplit: Encodable, Equatable, Sendable {
        /// Error rate of the final layer.
        public var finalError: Double
        /// Error rate of the policy.
        public var error: Double
        /// The final layer's cost over the mean cost of the exits taken.
        public var speedUp: Double

        init(_ result: CountedCalibration, _ split: Split) {
            let outcome = result.outcomes[split]!
            finalError = result.finalError(on: split)
            error = outcome.errorRate
            speedUp = outcome.speedUp
        }

        init(_ result: CalibrationResult, _ split: Split) {
            let outcome = result.outcome(on: split)
            finalError = result.finalError(on: split)
            error = outcome.errorRate
            speedUp = outcome.speedUp
        }
    }

    /// On the tune split.
    public var tune: OnSplit
    /// On the certify split.
    public var certify: OnSplit
    /// On the test split.
    public var test: OnSplit
    /// What is certified; nil when nothing could be.
    @ExplicitNull public var certificate: Certificate?

    /// What other allowed gaps would give, predicted on tune; nil where it was not asked for.
    public var tradeOff: [TradeOff.Line]?

    /// What batches make of it on the test split; nil where the recipe does not say how long they take.
    public var serving: ServingTimes?

    /// Collects the numbers of a calibration on counts.
    public init(_ result: CountedCalibration) {
        tune = OnSplit(result, .tune)
        certify = OnSplit(result, .certify)
        test = OnSplit(result, .test)
        certificate = result.certificate
    }

    /// Collects the numbers of a calibration.
    public init(_ result: CalibrationResult, tradeOff: TradeOff? = nil, serving: BatchedServing? = nil) {
        self.serving = serving.map { ServingTimes(result, on: .test, serving: $0) }
        self.tradeOff = tradeOff?.lines
        tune = OnSplit(result, .tune)
        certify = OnSplit(result, .certify)
        test = OnSplit(result, .test)
        certificate = result.certificate
    }
}
