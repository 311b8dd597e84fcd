import Calibration
import ExitPolicy
import FeatureCache

/// One line of a trade-off table that was certified.
public struct SpentLine: Sendable {
    /// The allowed gap, a fraction.
    public let allowedGap: Double
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?
    /// The policy's file.
    public let file: String
    private let tuneSpeedUp: Double

    /// Creates a line.
    public init(allowedGap: Double, result: CalibrationResult, file: String) {
        self.allowedGap = allowedGap
        self.file = file
        certificate = result.certificate
        tuneSpeedUp = result.outcome(on: .tune).speedUp
    }

    /// What `--json` prints of a line.
    public struct JSON: Encodable, Sendable {
        /// The allowed gap, a fraction.
        public var allowedGap: Double
        /// The speed-up on tune.
        public var speedUp: Double
        /// What is certified; nil when nothing could be.
        public var certificate: Certificate?
        /// The policy's file.
        public var policy: String
    }

    /// What `--json` prints.
    public var json: JSON {
        JSON(allowedGap: allowedGap, speedUp: tuneSpeedUp, certificate: certificate, policy: file)
    }

    var cells: [String] {
        [
            Format.short(100 * allowedGap), Format.speedUp(tuneSpeedUp), certificate == nil ? "no" : "yes",
            certificate.map { Format.probability($0.pValue) } ?? "-", file,
        ]
    }
}

/// What `calibrate --spend` tells.
public struct SpentSummary: Sendable {
    private let lines: [SpentLine]
    private let uses: Int

    /// Collects what is told.
    public init(_ lines: [SpentLine], uses: Int) {
        self.lines = lines
        self.uses = uses
    }

    /// A table and what may be done with it.
    public var text: String {
        var table = TextTable([
            ("allowed gap (points)", .right), ("speed-up (tune)", .right), ("certified", .left), ("p", .right),
            ("policy", .left),
        ])
        for line in lines { table.add(line.cells) }
        return table.text
            + "\nEvery line was certified at 1/\(uses) of the failure probability, so any may be taken: the "
            + "probability that one of them claims too much is at most delta.\n"
    }
}
