import ArgumentParser
import Calibration
import Evaluation
import ExitHeads
import ExitPolicy
import FeatureCache
import Reports
import Safetensors

/// What `run` and `calibrate` do once there are exits: certify, write the policy, tell.
struct CalibrationStep {
    let experiment: Experiment
    let folder: OutputFolder
    let exits: ExitSource
    let outputs: SplitOutputs
    /// The heads' file; nil where the exits were trained elsewhere.
    let headsFile: String?
    let automatic: AutomaticRule?
    /// Which exits are offered, where that is not all of them.
    let selection: ExitSelection?
    let printing: PrintingOptions

    /// Prepares the step; picks the rule, and the exits, where the recipe leaves that open. Heads of the exits that are
    /// offered get a file of their own where those are not all.
    init(
        _ experiment: Experiment, exits: ExitSource, headsFile: String?, folder: OutputFolder, printing: PrintingOptions
    ) throws(InputError) {
        let settled = try experiment.settled(for: exits)
        self.experiment = settled.experiment
        automatic = settled.automatic
        selection = settled.selection
        outputs = try self.experiment.outputs(of: settled.exits)
        // All ranks have all outputs now, and the first goes on by itself.
        self.exits = settled.exits.readAlone()
        self.folder = folder
        self.printing = printing
        self.headsFile = experiment.ranks.isFirst ? try folder.headsFile(of: settled, all: headsFile) : headsFile
    }

    /// What ``run(requireCertificate:curves:)`` writes.
    static func files(of folder: OutputFolder) -> [String] {
        [folder.evaluation, folder.frontier, folder.policy, folder.record, folder.report]
    }

    /// Says what was written, and what a user would do next.
    func tellNext(wrote files: [String], recipe: String) {
        printing.note("Wrote \(files.joined(separator: ", ")).")
        var isTable = false
        if case .outputs(let choice) = experiment.recipe.data { isTable = choice.isTable }
        printing.suggest(
            NextCommand("apply", folder.policy, experiment.samples.path).with("--split", "test")
                .with("--recipe", isTable ? recipe : nil).with("--output", "decisions.csv"))
    }

    /// Calibrates and writes the policy, the exits' error rates, the frontier and the report; the heads are in the output
    /// folder already.
    ///
    /// - Parameter curves: the learning curves of just these heads, where there are any.
    /// - Throws: `ExitCode(1)` when a certificate is required and there is none.
    func run(requireCertificate: Bool, curves: String?) throws {
        let usage = try CertifyLog(besideOutput: folder.path)
            .record(experiment, headsFile: headsFile, action: .calibrate)
        let calibrator = Calibrator(experiment)
        let result = try calibrator.calibrate(outputs, certifyUses: usage.uses)
        try Policy(result, of: experiment, headsFile: headsFile).write(to: folder.policy)
        try FrontierTable(result.tables[.tune]!).write(to: folder.frontier)
        let tradeOff = experiment.recipe.minimumSpeedUp == nil ? try calibrator.tradeOff(outputs) : nil
        let evaluation = ExitEvaluation(experiment, outputs)
        try evaluation.write(to: folder.evaluation)
        let record = try RunRecord(
            experiment, exits: exits, outputs: outputs, result: result, usage: usage, tradeOff: tradeOff,
            automatic: automatic, selection: selection,
            files: folder.hashes(of: [folder.policy, folder.evaluation] + (curves.map { [$0] } ?? [])))
        try record.write(to: folder.record)
        try ReportPage(RunReport(reading: folder)).write(to: folder.report)
        try printing.print(
            RunSummary(
                experiment: experiment, evaluation: evaluation, result: result,
                tradeOff: tradeOff, automatic: automatic, selection: selection
            ).text, json: CalibrationJSON(result, tradeOff: tradeOff, serving: experiment.serving))
        result.warnings(usage, planned: experiment.recipe.guarantee.uses).forEach(PrintingOptions.warn)
        if result.certificate == nil, requireCertificate { throw ExitCode(1) }
    }

    /// Certifies every line of the trade-off table with the level divided beforehand, and writes a policy for each.
    func spend(_ uses: Int, requireCertificate: Bool) throws {
        guard experiment.recipe.minimumSpeedUp == nil else {
            throw ValidationError("--spend certifies a table of gaps; with search.minimumSpeedUp there is one gap")
        }
        let gaps = TradeOff.gaps(for: experiment.recipe.guarantee)
        guard uses >= gaps.count else {
            throw ValidationError(
                "--spend \(uses): the table has \(gaps.count) lines, so it takes at least as many uses")
        }
        let usage = try CertifyLog(besideOutput: folder.path)
            .record(experiment, headsFile: headsFile, action: .spend(uses: uses))
        var lines: [SpentLine] = []
        for gap in gaps {
            var calibrator = Calibrator(experiment)
            calibrator.recipe.guarantee.allowedGap = gap
            calibrator.recipe.guarantee.uses = uses
            let result = try calibrator.calibrate(outputs, certifyUses: usage.uses)
            let isOwn = gap == experiment.recipe.guarantee.allowedGap
            let file = isOwn ? folder.policy : folder.policy(allowedGap: gap)
            try Policy(result, of: experiment, headsFile: headsFile).write(to: file)
            lines.append(SpentLine(.gap(gap), result: result, file: file))
        }
        try printing.print(SpentSummary(lines, uses: uses).text, json: lines.map(\.json))
        usage.warnings(planned: uses).forEach(PrintingOptions.warn)
        if requireCertificate, !lines.contains(where: { $0.certificate != nil }) { throw ExitCode(1) }
    }
}
