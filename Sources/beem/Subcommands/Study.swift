import ArgumentParser
import Calibration
import Reports

/// `beem study`: which method certifies how much, over many draws.
struct RunStudy: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "Compare rules, orders and tests on many draws of tune, certify and test, with the heads fixed.",
        discussion: """
            Example: beem study recipes/movie-reviews/recipe.yaml --repeats 200

            Draws share samples, so they show speed-up, not validity. For validity: --draws bootstrap draws from all \
            samples outside train, which then are the truth, and --labels random makes every policy's gap exactly 0.
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption
    @Option(help: "How many draws.")
    var repeats = 200
    @Option(help: "resplit or bootstrap.")
    var draws = StudyDraws.Source.resplit
    @Option(help: "given or random.")
    var labels = StudyDraws.Labels.given
    @Option(help: "Run only methods whose name contains this text; may be given several times.")
    var only: [String] = []
    @Option(help: "Certify this gap instead of the recipe's, a fraction.")
    var allowedGap: Double?

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats is at least 1") }
        if let allowedGap, !(0..<1).contains(allowedGap) {
            throw ValidationError("--allowed-gap is a fraction in 0..<1")
        }
    }

    func run() throws {
        let opened = try options.experiment { recipe in
            if let allowedGap { recipe.guarantee.allowedGap = allowedGap }
        }
        let settled = try opened.offering(heads.exits(for: opened))
        let (experiment, exits) = (settled.experiment, settled.exits)
        let methods = StudyMethod.all(for: experiment, measures: exits.measures).filter { method in
            only.isEmpty || only.contains { method.name.contains($0) }
        }
        guard !methods.isEmpty else { throw ValidationError("--only: no method's name contains that") }
        let bar = ProgressBar("Drawing", isQuiet: options.printing.quiet || options.printing.json)
        let result = try Study(
            experiment, from: exits, repeats: repeats, source: draws, labels: labels,
            methods: methods
        ).run(progress: bar.show)
        try options.printing.print(StudySummary(result).text, json: result)
        options.printing.suggest(options.next("compare", heads: heads))
    }
}

extension StudyDraws.Source: ExpressibleByArgument {}
extension StudyDraws.Labels: ExpressibleByArgument {}
