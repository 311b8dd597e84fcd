import ArgumentParser
import Calibration
import Evaluation
import Reports

/// `beem evaluate`: error rates of all exits.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Evaluate every exit on every split and write evaluation.json.",
        discussion: "Example: beem evaluate recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption

    func run() throws {
        let experiment = try options.experiment()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let evaluation = ExitEvaluation(experiment, try experiment.outputs(of: heads.exits(for: experiment)))
        try evaluation.write(to: folder.evaluation)
        try options.printing.print(
            RunSummary.header(experiment) + "\n" + RunSummary.exits(evaluation), json: evaluation)
        options.printing.note("Wrote \(folder.evaluation).")
        options.printing.suggest(options.next("calibrate", heads: heads))
    }
}
