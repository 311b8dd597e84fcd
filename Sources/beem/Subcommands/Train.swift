import ArgumentParser
import Backprop
import Calibration
import ExitHeads
import Reports
import Safetensors

/// `beem train`: the heads alone.
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train the exit heads and write them.",
        discussion: "Example: beem train recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @Option(name: .customLong("init"), help: "Start from these heads instead of zero.", completion: .file())
    var initial: String?

    func run() throws {
        let experiment = try options.experiment()
        _ = try experiment.features()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let trained = try Self.train(experiment, options: options, initial: initial.map { try HeadSet(reading: $0) })
        try HeadSet(heads: trained.map(\.head)).write(to: folder.heads)
        try options.printing.print(
            TrainingSummary(trained, names: experiment.samples.exitNames).text,
            json: TrainingJSON(trained))
        options.printing.note("Wrote \(folder.heads).\nNext: beem calibrate \(options.recipe)")
    }

    /// Trains with a progress bar, and warns of heads that are not at their optimum.
    static func train(
        _ experiment: Experiment, options: RecipeOptions, initial: HeadSet?
    ) throws(InputError) -> [TrainedHead] {
        let bar = ProgressBar("Training heads", isQuiet: options.printing.quiet || options.printing.json)
        let trained = try experiment.train(from: initial, progress: bar.show)
        for (exit, head) in trained.enumerated() where !head.choice.converged {
            PrintingOptions.warn(
                "exit \(exit): training stopped after \(head.choice.evaluations) evaluations, before it converged")
        }
        return trained
    }
}
