import ArgumentParser
import Calibration
import Evaluation
import ExitPolicy
import Foundation
import Reports

/// `beem calibrate`: from trained heads, or the outputs of exits trained elsewhere, to a certified policy.
struct Calibrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calibrate",
        abstract: "Find thresholds for trained heads or recorded exit outputs, certify them, and write policy.json.",
        discussion: "Example: beem calibrate recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption
    @Option(help: "Certify all lines of the trade-off table, at the failure probability divided by this many uses.")
    var spend: Int?
    @Flag(help: "End with exit code 1 when nothing could be certified.")
    var requireCertificate = false
    @OptionGroup var counts: CountsOption

    func validate() throws {
        if spend != nil, counts.counts { throw ValidationError("--spend and --counts do not go together") }
    }

    func run() throws {
        let experiment = try options.experiment()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let (exits, headsFile) = try heads.exits(for: experiment, beside: folder)
        if spend == nil, counts.isMeant(for: experiment) {
            return try CountedStep(experiment: experiment, folder: folder, printing: options.printing)
                .run(exits, headsFile: headsFile, requireCertificate: requireCertificate)
        }
        let step = try CalibrationStep(
            experiment, exits: exits, headsFile: headsFile, folder: folder, printing: options.printing)
        guard experiment.ranks.isFirst else { return }
        if let spend {
            try step.spend(spend, requireCertificate: requireCertificate)
            step.tellNext(wrote: [folder.policy], recipe: options.recipe)
        } else {
            try step.run(requireCertificate: requireCertificate, curves: curves(in: folder, headsFile: headsFile))
            step.tellNext(wrote: CalibrationStep.files(of: folder), recipe: options.recipe)
        }
    }

    /// The learning curves in the folder, if they are those of its heads and not of others before.
    private func curves(in folder: OutputFolder, headsFile: String?) -> String? {
        guard headsFile != nil, heads.heads == nil else { return nil }
        return FileManager.default.fileExists(atPath: folder.curves) ? folder.curves : nil
    }
}
