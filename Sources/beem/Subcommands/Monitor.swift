import ArgumentParser
import Calibration
import ExitPolicy
import Reports
import Safetensors

/// `beem monitor`: does a policy in service still keep its promise?
struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitor",
        abstract: "Watch a policy in service: audited samples, in the order of time, against its certificate.",
        discussion: """
            Example: beem monitor policy.json audit.jsonl

            A line of the audit is {"label": "positive", "finalLabel": "positive", "target": "negative"}: what the policy \
            said, what the final layer says, and the truth where it is known. Which samples are audited must not depend on \
            their score or exit. Exit code 1 on an alarm of the detector.
            """)

    @Argument(help: "The policy.", completion: .file(extensions: ["json"]))
    var policy: String
    @Argument(help: "The audited samples, a JSON object a line.", completion: .file(extensions: ["jsonl"]))
    var audit: String
    @Option(help: "The probability that the line since release ever raises a false alarm.")
    var falseAlarmProbability = 0.05
    @Option(help: "The mean number of samples to a false alarm of the detector.")
    var samplesToFalseAlarm = 10_000.0
    @OptionGroup var printing: PrintingOptions

    func validate() throws {
        guard falseAlarmProbability > 0, falseAlarmProbability < 1 else {
            throw ValidationError("--false-alarm-probability lies between 0 and 1")
        }
        guard (1...1e12).contains(samplesToFalseAlarm) else {
            throw ValidationError("--samples-to-false-alarm lies in 1...1e12")
        }
    }

    func run() throws {
        let policy = try Policy(reading: policy)
        try policy.requireCertificateOfLabels(file: self.policy)
        guard policy.rule.tolerance == nil else {
            throw InputError(
                .unsupported, file: self.policy, item: "rule.tolerance", seen: "a policy for numbers",
                expected: "one for classes", advice: "Check samples with their targets by `beem verify`.")
        }
        let monitoring = try Monitoring(
            policy, policyFile: self.policy, log: AuditLog(path: audit, classes: policy.classes),
            settings: Monitoring.Settings(
                falseAlarmProbability: falseAlarmProbability, meanSamplesToFalseAlarm: samplesToFalseAlarm))
        PrintingOptions.warnOfOveruse(policy.certificate)
        try printing.print(MonitoringSummary(monitoring).text, json: MonitoringJSON(monitoring))
        if monitoring.monitor.drift.firstAlarm != nil { throw ExitCode(1) }
    }
}
