import ArgumentParser
import Calibration
import Evaluation
import ExitHeads
import ExitPolicy
import Reports
import Safetensors

/// `beem run`: train, evaluate, calibrate, certify, write.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Do all of it: train heads, evaluate, calibrate, certify, and write the policy.",
        discussion: "Example: beem run recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @Flag(help: "End with exit code 1 when nothing could be certified.")
    var requireCertificate = false

    func run() throws {
        let experiment = try options.experiment()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let trained = try Train.train(experiment, options: options, initial: nil)
        let heads = HeadSet(heads: trained.map(\.head), file: folder.heads)
        let outputs = try experiment.outputs(of: heads)
        let evaluation = ExitEvaluation(experiment, outputs)
        let result = try Calibrator(recipe: experiment.recipe, costs: experiment.costs).calibrate(outputs)
        try heads.write(to: folder.heads)
        try evaluation.write(to: folder.evaluation)
        let policy = try Policy(result, of: experiment, headsFile: folder.heads)
        try policy.write(to: folder.policy)

        try options.printing.print(
            RunSummary(experiment: experiment, evaluation: evaluation, result: result).text,
            json: CalibrationJSON(result))
        options.printing.note(
            "Wrote \(folder.heads), \(folder.evaluation), \(folder.policy).\n"
                + "Next: beem apply \(folder.policy) \(experiment.recipe.features) --split test")
        try Calibrate.finish(result, options: options.printing, requireCertificate: requireCertificate)
    }
}
