import Calibration
import ExitPolicy
import FeatureCache

/// One line of a table that was certified, with the level divided over all lines.
public struct SpentLine: Sendable {
    /// What the line is about.
    public let subject: Subject
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?
    /// The policy's file.
    public let file: String
    private let tuneSpeedUp: Double

    /// What a line is about.
    public enum Subject: Equatable, Sendable {
        /// An allowed gap, a fraction.
        case gap(Double)
        /// A rule with a family of thresholds, at the recipe's gap.
        case rule(String)
    }

    /// Creates a line.
    public init(_ subject: Subject, result: CalibrationResult, file: String) {
        self.subject = subject
        self.file = file
        certificate = result.certificate
        tuneSpeedUp = result.outcome(on: .tune).speedUp
    }

    /// What `--json` prints of a line.
    public struct JSON: Encodable, Sendable {
        /// The allowed gap, a fraction, in a table of gaps.
        public var allowedGap: Double?
        /// The rule and its family of thresholds, in a table of rules.
        public var rule: String?
        /// The speed-up on tune.
        public var speedUp: Double
        /// What is certified; nil when nothing could be.
        public var certificate: Certificate?
        /// The policy's file.
        public var policy: String
    }

    /// What `--json` prints.
    public var json: JSON {
        var json = JSON(speedUp: tuneSpeedUp, certificate: certificate, policy: file)
        switch subject {
        case .gap(let gap): json.allowedGap = gap
        case .rule(let name): json.rule = name
        }
        return json
    }

    private var title: String {
        switch subject {
        case .gap(let gap): Format.short(100 * gap)
        case .rule(let name): name
        }
    }

    var cells: [String] {
        [
            title, Format.speedUp(tuneSpeedUp), certificate == nil ? "no" : "yes",
            certificate.map { Format.probability($0.pValue) } ?? "-", file,
        ]
    }
}

/// What `calibrate --spend` and `compare --spend` tell.
public struct SpentSummary: Sendable {
    private let lines: [SpentLine]
    private let uses: Int

    /// Collects what is told.
    public init(_ lines: [SpentLine], uses: Int) {
        self.lines = lines
        self.uses = uses
    }

    private var isOfGaps: Bool {
        if case .gap? = lines.first?.subject { true } else { false }
    }

    /// A table and what may be done with it.
    public var text: String {
        var table = TextTable([
            isOfGaps ? ("allowed gap (points)", .right) : ("rule and thresholds", .left), ("speed-up (tune)", .right),
            ("certified", .left), ("p", .right), ("policy", .left),
        ])
        for line in lines { table.add(line.cells) }
        return table.text
            + "\nEvery line was certified at 1/\(uses) of the failure probability, so any may be taken: the "
            + "probability that one of them claims too much is at most delta.\n"
    }
}
