import Calibration

/// Several runs side by side: what each certified, what it does on test, and which settings differ.
public struct RunComparison: Sendable {
    /// The runs, in the order given.
    let runs: [RunReport]

    /// Compares runs.
    ///
    /// - Precondition: there are some.
    public init(_ runs: [RunReport]) {
        precondition(!runs.isEmpty, "runs to compare")
        self.runs = runs
    }

    /// What is to be known before one of them is chosen, in sentences.
    public var warnings: [String] {
        let provenances = runs.map(\.policy.provenance)
        guard provenances.allSatisfy({ $0.features == provenances[0].features }) else {
            return ["the runs are on different data, so their figures are not of the same samples"]
        }
        guard provenances.allSatisfy({ $0.seed == provenances[0].seed && $0.splits == provenances[0].splits }) else {
            return ["the runs drew their splits differently, so their figures are not of the same samples"]
        }
        let overused = runs.contains { $0.record.guarantee.certifyUses > $0.record.guarantee.uses }
        guard runs.count > 1, overused else { return [] }
        return [
            "these runs used the same certify split, and more of them than the failure probability was divided over: the "
                + "guarantee holds for the first only; to choose among rules, use `beem compare`, which does not look at certify"
        ]
    }

    /// [settings]: what the recipes say differently, run by run.
    var differences: [(key: String, values: [String?])] {
        RecipeSettings.differences(runs.map { RecipeSettings(recipe: $0.record.recipe) })
    }

    /// A table, a line for each run, and the settings that differ.
    public var text: String {
        var table = TextTable([
            ("run", .left), ("rule", .left), ("certified", .left), ("gap allowed (points)", .right), ("p", .right),
            ("test speed-up", .right), ("test error", .right), ("reference error", .right), ("gap (points)", .right),
            ("95 % interval", .right),
        ])
        for run in runs {
            let test = run.record.splits["test"]!
            table.add([
                run.folder.path, run.record.rule, run.policy.certificate == nil ? "no" : "yes",
                Format.short(100 * run.record.guarantee.allowedGap),
                run.policy.certificate.map { Format.probability($0.pValue) } ?? "-", Format.speedUp(test.speedUp),
                Format.percent(test.error), Format.percent(test.referenceError), Format.points(test.gap),
                test.gapInterval.map { Format.interval($0[0], $0[1]) } ?? "-",
            ])
        }
        guard !differences.isEmpty else { return table.text + "\nThe recipes say the same.\n" }
        var settings = TextTable([("setting", .left)] + runs.map { ($0.folder.path, .left) })
        for (key, values) in differences { settings.add([key] + values.map { $0 ?? "(default)" }) }
        return table.text + "\n" + settings.text
    }

    /// What `--json` prints of a run.
    public struct JSON: Encodable, Sendable {
        /// The run's folder.
        public var folder: String
        /// The rule in words.
        public var rule: String
        /// What was to be certified.
        public var guarantee: RunRecord.Guarantee
        /// Whether it was.
        public var isCertified: Bool
        /// On the test split.
        public var test: PolicyOnSplit
    }

    /// What `--json` prints.
    public var json: [JSON] {
        runs.map {
            JSON(
                folder: $0.folder.path, rule: $0.record.rule, guarantee: $0.record.guarantee,
                isCertified: $0.policy.certificate != nil, test: $0.record.splits["test"]!)
        }
    }
}
