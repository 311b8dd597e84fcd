import ArgumentParser
import Calibration
import ExitPolicy
import ExitRules
import FeatureCache
import Reports
import Safetensors

/// Calibrating on counts.
struct CountsOption: ParsableArguments {
    @Flag(
        help: """
            Search and certify on counts alone: what ranks exchange does not grow with the samples. The policy is the same; \
            of the output folder it is all that is written.
            """)
    var counts = false

    /// From how many predictions on, samples times exits, ranks do not gather them any more.
    private static let mostPredictions = 1 << 26

    /// Whether an experiment is calibrated on counts: when the user says so, or where ranks would have to gather too much.
    func isMeant(for experiment: Experiment) -> Bool {
        let samples = Split.allCases.reduce(0) { $0 + experiment.splits[$1].count }
        return counts || (!experiment.ranks.isAlone && samples * experiment.samples.exitCount > Self.mostPredictions)
    }
}

/// What `run` and `calibrate` do once there are exits, where ranks share the samples to the end.
struct CountedStep {
    let experiment: Experiment
    let folder: OutputFolder
    let printing: PrintingOptions

    /// Calibrates and writes the policy; the heads are in the output folder already.
    ///
    /// - Parameter headsFile: nil where the exits were trained elsewhere.
    /// - Throws: `ExitCode(1)` when a certificate is required and there is none.
    func run(_ exits: ExitSource, headsFile: String?, requireCertificate: Bool) throws {
        try experiment.checkCountable()
        let settled = try experiment.settled(for: exits)
        let experiment = settled.experiment
        let ranks = experiment.ranks
        var own: [Split: ExitOutputs] = [:]
        for split in [Split.tune, .certify, .test] {
            own[split] = try settled.exits.ownOutputs(
                rows: experiment.splits[split], measure: experiment.recipe.rule.confidence, threads: experiment.threads,
                ranks: ranks)
        }
        let file = ranks.isFirst ? try folder.headsFile(of: settled, all: headsFile) : headsFile
        // Before certify is looked at; the first rank writes it down, and all put the number into the certificate.
        let usage =
            ranks.isFirst
            ? try CertifyLog(besideOutput: folder.path).record(experiment, headsFile: file, action: .calibrate) : nil
        let uses = ranks.sums([usage?.uses ?? 0])[0]
        let result = Calibrator(experiment).calibrate(
            own: own, ranks: ranks, certifyUses: uses, threads: experiment.threads)
        if let usage {
            try Policy(result, of: experiment, headsFile: file).write(to: folder.policy)
            try printing.print(
                CountedSummary(result, names: experiment.samples.exitNames).text, json: CalibrationJSON(result))
            usage.warnings(planned: experiment.recipe.guarantee.uses).forEach(PrintingOptions.warn)
            printing.note("Wrote \(folder.policy).")
            let traffic = ranks.traffic
            if !ranks.isAlone {
                printing.note(
                    "\(ranks.rankCount) ranks; the first exchanged \(Format.count(traffic.bytes)) bytes in "
                        + "\(Format.count(traffic.calls)) calls.")
            }
        }
        if result.certificate == nil, requireCertificate { throw ExitCode(1) }
    }
}
