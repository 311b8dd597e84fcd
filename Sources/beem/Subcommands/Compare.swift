import ArgumentParser
import Calibration
import Reports

/// `beem compare`: which rule will be certified at the highest speed-up.
struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare every rule, with one threshold and one per exit, by cross-fitting on tune.",
        discussion: """
            Example: beem compare recipes/movie-reviews/recipe.yaml

            Certify is not looked at, so the rule that looks best may be put into the recipe and certified. \
            `rule: { kind: auto }` does so by itself.
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption

    func run() throws {
        let experiment = try options.experiment()
        let bar = ProgressBar("Comparing", isQuiet: options.printing.quiet || options.printing.json)
        let comparison = try RuleComparison(
            experiment, exits: heads.exits(for: experiment), progress: bar.show)
        try options.printing.print(
            ComparisonSummary(comparison).text, json: comparison.rows)
    }
}
