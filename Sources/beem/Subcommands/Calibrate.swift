import ArgumentParser
import Calibration
import Evaluation
import ExitPolicy
import Reports

/// `beem calibrate`: from trained heads to a certified policy.
struct Calibrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find thresholds for trained heads, certify them, and write policy.json.",
        discussion: "Example: beem calibrate recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption
    @Flag(help: "End with exit code 1 when nothing could be certified.")
    var requireCertificate = false

    func run() throws {
        let experiment = try options.experiment()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let heads = try heads.read(for: experiment)
        let outputs = try experiment.outputs(of: heads)
        let result = try Calibrator(recipe: experiment.recipe, costs: experiment.costs).calibrate(outputs)
        // A policy and its heads stand in one folder; heads from elsewhere are written beside it.
        if self.heads.heads != nil { try heads.write(to: folder.heads) }
        try Policy(result, of: experiment, headsFile: folder.heads).write(to: folder.policy)
        try options.printing.print(
            RunSummary(
                experiment: experiment, evaluation: ExitEvaluation(experiment, outputs), result: result
            ).text, json: CalibrationJSON(result))
        options.printing.note(
            "Wrote \(folder.policy).\nNext: beem apply \(folder.policy) \(experiment.recipe.features) --split test")
        try Self.finish(result, options: options.printing, requireCertificate: requireCertificate)
    }

    /// A missing certificate is a warning, and exit code 1 where one is required.
    static func finish(
        _ result: CalibrationResult, options: PrintingOptions, requireCertificate: Bool
    ) throws {
        guard result.certificate == nil else { return }
        PrintingOptions.warn("nothing could be certified; the policy never leaves early")
        if requireCertificate { throw ExitCode(1) }
    }
}
