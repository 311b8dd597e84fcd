import Calibration
import ExitPolicy
import FeatureCache

/// What a calibration on counts tells.
public struct CountedSummary: Sendable {
    private let result: CountedCalibration
    private let names: [String]

    /// Collects what is told.
    ///
    /// - Parameters:
    ///   - result: what was found.
    ///   - names: [exits]
    public init(_ result: CountedCalibration, names: [String]) {
        self.result = result
        self.names = names
    }

    /// A table of the splits and one sentence.
    public var text: String {
        var table = TextTable([
            ("split", .left), ("samples", .right), ("final layer error", .right), ("policy error", .right),
            ("gap (points)", .right), ("harmful", .right), ("helpful", .right), ("speed-up", .right),
        ])
        for split in [Split.tune, .certify, .test] {
            let outcome = result.outcomes[split]!
            table.add([
                "\(split)", Format.count(outcome.sampleCount), Format.percent(result.finalError(on: split)),
                Format.percent(outcome.errorRate), Format.points(outcome.counts.riskGap),
                Format.count(outcome.counts.harmfulFlips), Format.count(outcome.counts.helpfulFlips),
                Format.speedUp(outcome.speedUp),
            ])
        }
        return table.text + "\n" + sentence
    }

    private var sentence: String {
        if let certificate = result.certificate { return CertificateText(certificate, exits: names).text }
        return """
            NOT CERTIFIED: none of the \(Format.count(result.testedCount)) policies tested was shown to be within the allowed \
            gap; the policy never leaves early.

            """
    }
}
