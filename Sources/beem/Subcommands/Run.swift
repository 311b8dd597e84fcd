import ArgumentParser
import Calibration
import ExitHeads
import ExitPolicy
import Reports
import Safetensors

/// `beem run`: train, evaluate, calibrate, certify, write.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Do all of it: train heads, evaluate, calibrate, certify, and write the policy.",
        discussion: "Example: beem run recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @Flag(help: "End with exit code 1 when nothing could be certified.")
    var requireCertificate = false
    @OptionGroup var resume: ResumeOption
    @OptionGroup var counts: CountsOption

    func run() throws {
        let experiment = try options.experiment()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let exits: ExitSource
        var headsFile: String?
        if case .features = experiment.data {
            let trained = try TrainingStep(experiment: experiment, folder: folder, printing: options.printing)
                .run(initial: nil, resumes: resume.resume)
            exits = try experiment.exits(HeadSet(heads: trained.map(\.head), file: folder.heads))
            headsFile = folder.heads
        } else {
            exits = try experiment.exits()
        }
        if counts.isMeant(for: experiment) {
            return try CountedStep(experiment: experiment, folder: folder, printing: options.printing)
                .run(exits, headsFile: headsFile, requireCertificate: requireCertificate)
        }
        let step = try CalibrationStep(
            experiment, exits: exits, headsFile: headsFile, folder: folder, printing: options.printing)
        guard experiment.ranks.isFirst else { return }
        try step.run(requireCertificate: requireCertificate, curves: headsFile == nil ? nil : folder.curves)
        step.tellNext(
            wrote: (headsFile.map { [$0, folder.curves] } ?? []) + CalibrationStep.files(of: folder),
            recipe: options.recipe)
    }
}
