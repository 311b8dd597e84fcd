import ArgumentParser
import Calibration
import ExitRules
import Reports

/// `beem weights`: the weights of every kind.
struct Weights: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weights",
        abstract: "Show the exit weights of every kind, from the tune split.",
        discussion: "Example: beem weights recipes/movie-reviews/recipe.yaml --output runs/movie-reviews")

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption

    func run() throws {
        let experiment = try options.experiment()
        let tune = try experiment.outputs(of: heads.exits(for: experiment))[.tune]
        var kinds: [ExitWeights] = [.accuracy, .cost, .logOdds, .uniform]
        if case .given = experiment.recipe.rule.weights { kinds.append(experiment.recipe.rule.weights) }
        let values = kinds.map {
            $0.values(errors: tune.errorCounts, sampleCount: tune.sampleCount, costs: experiment.costs.cumulative)
        }
        var table = TextTable(
            [("exit", .left), ("name", .left)] + kinds.map { (Self.title($0), .right) })
        for exit in experiment.costs.cumulative.indices {
            table.add(["\(exit)", experiment.samples.exitNames[exit]] + values.map { Format.decimal($0[exit]) })
        }
        try options.printing.print(
            table.text, json: Dictionary(uniqueKeysWithValues: zip(kinds.map(\.name), values)))
        options.printing.suggest(options.next("calibrate", heads: heads))
    }

    private static func title(_ kind: ExitWeights) -> String {
        switch kind {
        case .accuracy: "accuracy (BEEM-A)"
        case .cost: "cost (BEEM-C)"
        default: kind.name
        }
    }
}
