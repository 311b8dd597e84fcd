import Evaluation
import ExitHeads
import ExitPolicy
import Foundation
import TestSupport

@testable import Calibration
@testable import Reports

/// A run on synthetic data with all files of its report, as `beem run` leaves them.
final class ReportedRun: Sendable {
    private let place: TemporaryFolder
    let folder: OutputFolder
    let report: RunReport
    let result: CalibrationResult

    init(
        _ cache: SyntheticCache = SyntheticCache(), name: String = "synthetic", extra: String = "",
        usage: CertifyLog.Usage = .init(uses: 1, otherDraws: 0)
    ) throws {
        place = try TemporaryFolder()
        try cache.write(to: place.file("features.safetensors"))
        let recipe = try Recipe(
            parsing: """
                name: \(name)
                features: features.safetensors
                splits: { train: 0.4, tune: 0.2, certify: 0.25, test: 0.15 }
                seed: 3
                output: out
                \(extra)
                """, file: place.file("recipe.yaml"))
        let opened = try Experiment(recipe)
        folder = OutputFolder(recipe.output)
        try folder.prepare()
        let trained = try opened.train()
        let heads = HeadSet(heads: trained.map(\.head))
        try heads.write(to: folder.heads)
        try LearningCurves(trained).write(to: folder.curves)
        let settled = try opened.settled(for: opened.exits(heads))
        let (experiment, exits) = (settled.experiment, settled.exits)
        let outputs = try experiment.outputs(of: exits)
        result = try Calibrator(experiment).calibrate(outputs, certifyUses: usage.uses)
        try Policy(result, of: experiment, headsFile: folder.headsFile(of: settled, all: folder.heads))
            .write(to: folder.policy)
        try ExitEvaluation(experiment, outputs).write(to: folder.evaluation)
        try RunRecord(
            experiment, exits: exits, outputs: outputs, result: result, usage: usage,
            tradeOff: try Calibrator(experiment).tradeOff(outputs), automatic: settled.automatic,
            selection: settled.selection,
            files: folder.hashes(of: [folder.policy, folder.evaluation, folder.curves])
        ).write(to: folder.record)
        report = try RunReport(reading: folder)
    }

    /// One that most tests are content with.
    static let standard = Result { try ReportedRun() }
}

/// A number of a page with the place it says it was read from.
struct CitedElement {
    let value: String
    let file: String
    let pointer: String
    let style: CitedNumber.Style
    let text: String

    /// All of a page, in order.
    static func all(in html: String) -> [CitedElement] {
        let pattern = #/<data value="([^"]*)" data-source="([^"#]*)#([^"]*)" data-style="([^"]*)">([^<]*)</data>/#
        return html.matches(of: pattern).map { match in
            CitedElement(
                value: String(match.1), file: String(match.2), pointer: String(match.3),
                style: CitedNumber.Style(rawValue: String(match.4))!, text: String(match.5))
        }
    }
}
