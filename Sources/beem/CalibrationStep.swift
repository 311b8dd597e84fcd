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
    let outputs: SplitOutputs
    /// The heads' file; nil where the exits were trained elsewhere.
    let headsFile: String?
    let automatic: AutomaticRule?
    let printing: PrintingOptions

    /// Prepares the step; picks the rule where the recipe leaves that open.
    init(
        _ experiment: Experiment, exits: ExitSource, headsFile: String?, folder: OutputFolder, printing: PrintingOptions
    ) throws(InputError) {
        var experiment = experiment
        automatic = try experiment.pickRule(for: exits)
        outputs = try experiment.outputs(of: exits)
        self.experiment = experiment
        self.folder = folder
        self.printing = printing
        self.headsFile = headsFile
    }

    /// Says what was written, and what a user would do next.
    func tellNext(wrote files: [String], recipe: String) {
        var next = "beem apply \(folder.policy) \(experiment.samples.path) --split test"
        if case .outputs(let choice) = experiment.recipe.data, choice.isTable { next += " --recipe \(recipe)" }
        printing.note("Wrote \(files.joined(separator: ", ")).\nNext: \(next)")
    }

    /// Calibrates and writes `policy.json`; the heads are in the output folder already.
    ///
    /// - Throws: `ExitCode(1)` when a certificate is required and there is none.
    func run(requireCertificate: Bool) throws {
        let usage = try CertifyLog(besideOutput: folder.path)
            .record(experiment, headsFile: headsFile, action: .calibrate)
        let calibrator = Calibrator(experiment)
        let result = try calibrator.calibrate(outputs, certifyUses: usage.uses)
        try Policy(result, of: experiment, headsFile: headsFile).write(to: folder.policy)
        try FrontierTable(result.tables[.tune]!).write(to: folder.frontier)
        let tradeOff = experiment.recipe.minimumSpeedUp == nil ? try calibrator.tradeOff(outputs) : nil
        try printing.print(
            RunSummary(
                experiment: experiment, evaluation: ExitEvaluation(experiment, outputs), result: result,
                tradeOff: tradeOff, automatic: automatic
            ).text, json: CalibrationJSON(result, tradeOff: tradeOff, serving: experiment.serving))
        Self.warn(usage, planned: experiment.recipe.guarantee.uses)
        for part in result.partsTooSmall {
            PrintingOptions.warn("'\(part)' has too few certify samples for any outcome to be certified")
        }
        if result.certificate == nil {
            PrintingOptions.warn("nothing could be certified; the policy never leaves early")
            if requireCertificate { throw ExitCode(1) }
        }
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
        Self.warn(usage, planned: uses)
        if requireCertificate, !lines.contains(where: { $0.certificate != nil }) { throw ExitCode(1) }
    }

    /// Says what a certificate is worth once its samples have been looked at before.
    static func warn(_ usage: CertifyLog.Usage, planned: Int) {
        if usage.uses > planned {
            PrintingOptions.warn(
                "this certify split has been used by \(usage.uses) different runs; the guarantee holds for the first "
                    + "\(planned == 1 ? "" : "\(planned) ")only, since delta was divided over \(planned)")
        }
        if usage.otherDraws > 0 {
            PrintingOptions.warn(
                "\(usage.otherDraws) other draws of certify samples from these features have been used; choosing the seed by "
                    + "its certificate voids the guarantee")
        }
    }
}
