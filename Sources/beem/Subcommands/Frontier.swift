import ArgumentParser
import Calibration
import ExitRules
import FeatureCache
import Safetensors

/// `beem frontier`: what every threshold costs and errs.
struct Frontier: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frontier",
        abstract: "Write the exact frontier of one shared threshold: error rate against cost.",
        discussion: """
            Example: beem frontier recipes/movie-reviews/recipe.yaml --output runs/movie-reviews

            The points go to frontier.csv in the output folder. Certify is refused: a threshold chosen by what it does \
            there could not be certified any more.
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption
    @Option(help: "train, tune or test; tune where it is not given.")
    var split: Split?
    @Option(help: "efficient (points that no other beats) or all.")
    var points = FrontierTable.Points.efficient

    func validate() throws {
        if split == .certify {
            throw ValidationError("--split certify: who chooses by certify samples cannot be certified on them")
        }
    }

    func run() throws {
        let split = split ?? .tune
        let opened = try options.experiment()
        let settled = try opened.settled(for: heads.exits(for: opened))
        let (experiment, exits) = (settled.experiment, settled.exits)
        if experiment.splits[split].isEmpty {
            throw InputError(
                .missing, file: experiment.samples.path, item: "\(split) split", seen: "no samples",
                expected: "samples to say something about", advice: "Choose another --split.")
        }
        func outputs(_ split: Split) throws(InputError) -> ExitOutputs {
            try exits.outputs(
                rows: experiment.splits[split], measure: experiment.recipe.rule.confidence, threads: experiment.threads)
        }
        let table = FrontierTable(
            Calibrator(experiment).table(try outputs(split), tune: try outputs(.tune)), points: points)
        let folder = OutputFolder(experiment.recipe.output)
        try folder.prepare()
        try table.write(to: folder.frontier)
        try options.printing.print("", json: table.rows)
        options.printing.note("Wrote \(folder.frontier): \(table.rows.count) points of the \(split) split.")
        options.printing.suggest(options.next("calibrate", heads: heads))
    }
}

extension FrontierTable.Points: ExpressibleByArgument {}
