/// Several runs on one page.
public struct ComparisonPage: HTMLPage {
    /// The page.
    public let html: String
    /// Why there are no pictures; nil where there are.
    public let missingPictures: String?

    /// Makes the page.
    ///
    /// - Parameter gnuplot: what draws the pictures; without it the page has its tables, and says so.
    public init(_ comparison: RunComparison, gnuplot: Gnuplot? = Gnuplot()) {
        let figures = ["tune", "test"].map(comparison.frontierFigure) + [comparison.shareFigure]
        let drawn = DrawnFigures(figures, by: gnuplot)
        missingPictures = drawn.missing
        html =
            PageFrame(
                title: "\(comparison.runs.count) runs compared",
                content: ComparisonContent(comparison: comparison, figures: figures, drawn: drawn).html
            ).text
    }
}

/// What stands on the page.
private struct ComparisonContent {
    let comparison: RunComparison
    let figures: [Figure]
    let drawn: DrawnFigures

    private var runs: [RunReport] { comparison.runs }

    var html: HTML {
        let notes = comparison.warnings + (drawn.missing.map { [$0] } ?? [])
        let items = notes.map { "<li>\($0.prefix(1).uppercased() + $0.dropFirst())</li>\n" as HTML }
        let warnings: HTML =
            notes.isEmpty ? "" : "<div class=\"warnings\" role=\"note\"><ul>\n\(items)</ul></div>"
        return """
            <header>
            <p class="subtitle">Early-exit policies</p>
            <h1>\(runs.count) runs compared</h1>
            \(warnings)
            </header>
            <main>
            <div class="texts">\(runTable)</div>
            <h2>Error and speed-up</h2>
            \(drawn.missing == nil ? legend : "")\(drawn.grid(figures, class: "panels"))
            <h2>Policies</h2>
            \(policyTable)
            <h2>Settings that differ</h2>
            <div class="texts">\(settingTable)</div>
            </main>

            """
    }

    private var legend: HTML {
        var legend = PlotLegend()
        for (index, run) in runs.enumerated() {
            legend.add(
                line: run.folder.path, PlotLegend.ruleStyles[index % PlotLegend.ruleStyles.count].color, width: 2.2,
                dashArray: PlotLegend.ruleStyles[index % PlotLegend.ruleStyles.count].dashArray)
        }
        return legend.html
    }

    private func cited(_ run: RunReport, _ name: String) -> CitedFile {
        CitedFile(name: "\(HTML.escaped(run.folder.path))/\(name)")
    }

    private var runTable: HTML {
        var table = HTMLTable(
            "What each run certified, and what its policy does on test",
            [
                ("run", .left), ("rule", .left), ("certified", .left), ("gap allowed (points)", .right), ("p", .right),
                ("uses of certify", .right), ("speed-up", .right), ("error", .right), ("reference error", .right),
                ("gap (points)", .right), ("95 % interval", .right),
            ])
        for run in runs {
            let (test, file) = (run.record.splits["test"]!, cited(run, "report.json"))
            let onTest = file["splits"]["test"]
            table.add([
                "\(run.folder.path)", "\(run.record.rule)", run.policy.certificate == nil ? "no" : "yes",
                file["guarantee"].number("allowedGap", run.record.guarantee.allowedGap, .allowedGap),
                cited(run, "policy.json")["certificate"].number("pValue", run.policy.certificate?.pValue, .probability),
                file["guarantee"].number("certifyUses", run.record.guarantee.certifyUses),
                onTest.number("speedUp", test.speedUp, .speedUp), onTest.number("error", test.error, .percent),
                onTest.number("referenceError", test.referenceError, .percent),
                onTest.number("gap", test.gap, .points), onTest.interval("gapInterval", test.gapInterval, .points),
            ])
        }
        return table.html
    }

    /// Thresholds and shares, exit by exit.
    private var policyTable: HTML {
        var table = HTMLTable(
            "Threshold, and share of test samples that leaves, at each exit",
            [("exit", .left)]
                + runs.flatMap {
                    [("threshold, \($0.folder.path)", TextTable.Alignment.right), ("share, \($0.folder.path)", .right)]
                })
        for exit in 0..<(runs.map(\.exitCount).max() ?? 0) {
            table.add(
                ["\(exit)"]
                    + runs.flatMap { run -> [HTML] in
                        guard exit < run.exitCount else { return ["–", "–"] }
                        let own = run.policy.exits[exit]
                        let share = run.record.splits["test"]!.exits[exit].share
                        let threshold: HTML =
                            exit == run.exitCount - 1
                            ? "all leave"
                            : own.threshold == nil
                                ? "never"
                                : cited(run, "policy.json")["exits"][exit].number("threshold", own.threshold, .decimal)
                        return [
                            threshold,
                            cited(run, "report.json")["splits"]["test"]["exits"][exit].number("share", share, .percent),
                        ]
                    })
        }
        return table.html
    }

    private var settingTable: HTML {
        let differences = comparison.differences
        guard !differences.isEmpty else { return "<p>The recipes say the same.</p>" }
        var table = HTMLTable(
            "What the recipes say differently; what is left out has its default",
            [("setting", .left)] + runs.map { ($0.folder.path, .left) })
        for (key, values) in differences {
            table.add(["<code>\(key)</code>"] + values.map { $0.map { "\($0)" as HTML } ?? "(default)" })
        }
        return table.html
    }
}
