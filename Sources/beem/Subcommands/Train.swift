import ArgumentParser
import Calibration
import ExitHeads
import Reports
import Safetensors

/// `beem train`: the heads alone.
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train the exit heads and write them.",
        discussion: "Example: beem train recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @Option(
        name: .customLong("init"), help: "Start from these heads instead of zero.",
        completion: .file(extensions: ["safetensors"]))
    var initial: String?
    @OptionGroup var resume: ResumeOption

    func run() throws {
        let experiment = try options.experiment()
        _ = try experiment.features()
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        let trained = try TrainingStep(experiment: experiment, folder: folder, printing: options.printing)
            .run(initial: initial.map { try HeadSet(reading: $0) }, resumes: resume.resume)
        try options.printing.print(
            TrainingSummary(trained, names: experiment.samples.exitNames, loss: experiment.recipe.training.loss).text,
            json: TrainingJSON(trained, loss: experiment.recipe.training.loss))
        options.printing.note("Wrote \(folder.heads), \(folder.curves).")
        options.printing.suggest(options.next("calibrate"))
    }
}
