import Calibration
import ExitPolicy
import RiskControl

/// What `beem monitor` tells.
public struct MonitoringSummary: Sendable {
    private let monitoring: Monitoring

    /// Collects what is told.
    public init(_ monitoring: Monitoring) { self.monitoring = monitoring }

    /// A table and a sentence.
    public var text: String {
        let monitor = monitoring.monitor
        var table = TextTable([
            ("line", .left), ("evidence (log10)", .right), ("alarm at", .right), ("first alarm", .left),
        ])
        for (name, line) in [("drift (detector)", monitor.drift), ("since release (e-process)", monitor.sinceRelease)] {
            table.add([
                name, line.log10Value.isFinite ? Format.decimal(line.log10Value) : "-",
                Format.decimal(line.log10Threshold),
                line.firstAlarm.map { "sample \(Format.count($0))" } ?? "none",
            ])
        }
        let mean = monitor.meanDifference.map { Format.points($0) } ?? "-"
        return """
            \(Format.count(monitoring.records)) records, \(Format.count(monitoring.counted)) counted; mean \(subject): \(mean) \
            points, limit \(Format.points(monitoring.limit))

            """ + table.text + "\n" + sentence
    }

    private var subject: String {
        monitoring.subject == .gap ? "gap so far" : "disagreement so far"
    }

    private var sentence: String {
        let caveat =
            monitoring.subject == .disagreement
            ? " Without targets this is a statement about how often labels differ from the final layer's, not about the gap."
            : ""
        let drift = monitoring.monitor.drift.firstAlarm
        if let drift {
            return "ALARM: the detector found drift at sample \(Format.count(drift)).\(caveat)\n"
        }
        if let since = monitoring.monitor.sinceRelease.firstAlarm {
            return "ALARM since release, at sample \(Format.count(since)).\(caveat)\n"
        }
        return "No alarm.\(caveat)\n"
    }
}

/// What `beem monitor --json` prints.
public struct MonitoringJSON: Encodable, Sendable {
    /// One line of evidence.
    public struct Line: Encodable, Sendable {
        /// The logarithm to base 10 of the evidence; nil before there is any.
        @ExplicitNull public var log10Value: Double?
        /// Where the alarm is.
        public var log10Threshold: Double
        /// The sample, from 1, at which the alarm was first raised; nil when it was not.
        @ExplicitNull public var firstAlarm: Int?

        init(_ line: GapMonitor.Line) {
            log10Value = line.log10Value.isFinite ? line.log10Value : nil
            log10Threshold = line.log10Threshold
            firstAlarm = line.firstAlarm
        }
    }

    /// What is tested.
    public var subject: Monitoring.Subject
    /// How many records were read.
    public var records: Int
    /// How many of them were counted.
    public var counted: Int
    /// The mean of what is counted; nil before there is any.
    public var mean: Double?
    /// The largest mean that is no alarm.
    public var limit: Double
    /// The detector of drift: the alarm.
    public var drift: Line
    /// The e-process since release.
    public var sinceRelease: Line

    /// Collects the numbers.
    public init(_ monitoring: Monitoring) {
        subject = monitoring.subject
        records = monitoring.records
        counted = monitoring.counted
        mean = monitoring.monitor.meanDifference
        limit = monitoring.limit
        drift = Line(monitoring.monitor.drift)
        sinceRelease = Line(monitoring.monitor.sinceRelease)
    }
}
