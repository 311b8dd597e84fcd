import ArgumentParser
import Calibration
import ExitPolicy
import Reports
import Safetensors

/// `beem compare`: which rule will be certified at the highest speed-up.
struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare every rule, with one threshold, along a curve and one per exit, by cross-fitting on tune.",
        discussion: """
            Example: beem compare recipes/movie-reviews/recipe.yaml

            Certify is not looked at, so the rule that looks best may be put into the recipe and certified. \
            `rule: { kind: auto }` does so by itself. With --spend 3 the best three are certified, at a third of the \
            failure probability each, and any of them may be taken.
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var heads: HeadsOption
    @Option(help: "Certify this many of the best, at the failure probability divided by as many uses.")
    var spend: Int?

    func validate() throws {
        if let spend, spend < 1 { throw ValidationError("--spend is at least 1") }
    }

    func run() throws {
        let opened = try options.experiment()
        let folder = OutputFolder(opened.recipe.output)
        let settled = try opened.offering(heads.exits(for: opened))
        let (experiment, exits) = (settled.experiment, settled.exits)
        if let spend {
            let count = RuleComparison.subjects(of: experiment, exits: exits).count
            guard spend <= count else { throw ValidationError("--spend \(spend): there are \(count) rules") }
            guard experiment.recipe.minimumSpeedUp == nil else {
                throw ValidationError("--spend certifies the recipe's gap; with search.minimumSpeedUp there is none")
            }
        }
        let bar = ProgressBar("Comparing", isQuiet: options.printing.quiet || options.printing.json)
        let comparison = try RuleComparison(experiment, exits: exits, progress: bar.show)
        guard let spend else {
            try options.printing.print(ComparisonSummary(comparison).text, json: comparison.rows)
            options.printing.note("Put the rule that you choose into \(options.recipe); then it can be certified.")
            options.printing.suggest(options.next("calibrate", heads: heads))
            return
        }
        let lines = try certify(Array(comparison.subjects.prefix(spend)), opened, writingTo: folder)
        try options.printing.print(
            ComparisonSummary(comparison, spent: spend).text + "\n" + SpentSummary(lines, uses: spend).text,
            json: lines.map(\.json))
        options.printing.suggest(next(after: lines, experiment))
    }

    /// The fastest certified policy on its test split.
    private func next(after lines: [SpentLine], _ experiment: Experiment) -> NextCommand? {
        let certified = lines.filter { $0.certificate != nil }
        guard let best = certified.max(by: { $0.json.speedUp < $1.json.speedUp }) else { return nil }
        var isTable = false
        if case .outputs(let choice) = experiment.recipe.data { isTable = choice.isTable }
        return NextCommand("apply", best.file, experiment.samples.path).with("--recipe", isTable ? options.recipe : nil)
            .with("--split", "test").with("--output", "decisions.csv")
    }

    /// Certifies some rules with the level divided over all of them, and writes a policy for each.
    private func certify(
        _ subjects: [RuleComparison.Subject], _ opened: Experiment, writingTo folder: OutputFolder
    ) throws(InputError) -> [SpentLine] {
        try folder.prepare()
        let (all, file) = try heads.exits(for: opened, beside: folder)
        let settled = try opened.offering(all)
        let (experiment, exits) = (settled.experiment, settled.exits)
        let headsFile = try folder.headsFile(of: settled, all: file)
        let usage = try CertifyLog(besideOutput: folder.path)
            .record(experiment, headsFile: headsFile, action: .compare(uses: subjects.count))
        var lines: [SpentLine] = []
        for (place, subject) in subjects.enumerated() {
            let own = experiment.choosing(subject.rule, subject.search)
            var calibrator = Calibrator(own)
            calibrator.recipe.guarantee.uses = subjects.count
            let result = try calibrator.calibrate(own.outputs(of: exits), certifyUses: usage.uses)
            let file = folder.policy(rank: place + 1)
            try Policy(result, of: own, headsFile: headsFile).write(to: file)
            let name = "\(subject.rule.title), \(subject.search.title)"
            lines.append(SpentLine(.rule(name), result: result, file: file))
        }
        usage.warnings(planned: subjects.count).forEach(PrintingOptions.warn)
        return lines
    }
}
