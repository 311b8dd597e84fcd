import ExitPolicy
import RiskControl
import Safetensors
import Statistics

/// Whether a policy in service still keeps its promise: audited samples, one after another, against its certificate.
public struct Monitoring: Sendable {
    /// What is tested.
    public enum Subject: String, Codable, Sendable {
        /// The risk gap, at most the allowed one.
        case gap
        /// The rate of disagreement that the certificate allows.
        case certifiedDisagreement = "certified disagreement"
        /// The rate of disagreement, at most its upper bound on certify: drift, but nothing about the gap.
        case disagreement
    }

    /// What is tested.
    public let subject: Subject
    /// The largest mean of what is counted that is no alarm.
    public let limit: Double
    /// Both lines.
    public let monitor: GapMonitor
    /// How many records were read.
    public let records: Int
    /// How many of them were counted; without a target a record says nothing about the gap.
    public var counted: Int { monitor.sampleCount }

    /// How alarms are set.
    public struct Settings: Equatable, Sendable {
        /// The probability that the e-process since release ever raises a false alarm.
        public var falseAlarmProbability: Double
        /// The mean number of samples to a false alarm of the detector.
        public var meanSamplesToFalseAlarm: Double

        /// Creates settings.
        public init(falseAlarmProbability: Double = 0.05, meanSamplesToFalseAlarm: Double = 10_000) {
            self.falseAlarmProbability = falseAlarmProbability
            self.meanSamplesToFalseAlarm = meanSamplesToFalseAlarm
        }
    }

    /// Replays an audit log.
    ///
    /// The gap is tested when any record has a target; otherwise disagreement is.
    ///
    /// - Throws: `InputError` for a log that is not what it should be, or a policy without a certificate.
    /// - Complexity: O(records), reading the log twice.
    public init(_ policy: Policy, policyFile: String, log: AuditLog, settings: Settings) throws(InputError) {
        guard let certificate = policy.certificate else {
            throw InputError(
                .unsupported, file: policyFile, item: "certificate", seen: "null",
                expected: "a certificate, whose promise is monitored",
                advice: "Certify the policy with `beem certify` first.")
        }
        var hasTargets = false
        try log.forEach { _, record throws(InputError) in hasTargets = hasTargets || record.target != nil }
        let subject: Subject
        if certificate.loss == .disagreement {
            subject = .certifiedDisagreement
            limit = certificate.allowedGap
        } else if hasTargets {
            subject = .gap
            limit = certificate.allowedGap
        } else {
            subject = .disagreement
            guard let disagreements = certificate.disagreements else {
                throw InputError(
                    .missing, file: policyFile, item: "certificate.disagreements", seen: "no such key",
                    expected: "how often labels differed on certify, since no record has a target",
                    advice: "Calibrate again with this version, or add targets to the audit.")
            }
            limit = BinomialInterval.upperBound(
                successes: disagreements, trials: certificate.samples,
                errorProbability: certificate.failureProbability)
        }
        self.subject = subject
        // A bound of 1 can not be exceeded.
        let range = subject == .gap ? -1.0...1 : 0.0...1
        var monitor = GapMonitor(
            allowedGap: min(limit, 1 - 1e-9), range: range, falseAlarmProbability: settings.falseAlarmProbability,
            meanSamplesToFalseAlarm: settings.meanSamplesToFalseAlarm)
        var records = 0
        try log.forEach { _, record throws(InputError) in
            records += 1
            let value =
                subject == .gap ? record.difference : record.label == record.finalLabel ? 0 : 1
            guard let value else { return }
            do {
                try monitor.observe(value)
            } catch {
                preconditionFailure("differences are -1, 0 or 1: \(error)")
            }
        }
        self.monitor = monitor
        self.records = records
    }
}
