extension RunComparison {
    private static func style(_ index: Int) -> PlotLegend.LineStyle {
        PlotLegend.ruleStyles[index % PlotLegend.ruleStyles.count]
    }

    /// Error against speed-up of every run's family, with its policy.
    ///
    /// - Parameter split: `tune` or `test`.
    func frontierFigure(_ split: String) -> Figure {
        let frames = runs.map(\.frontierFrame)
        let frame = PlotFrame(
            x: frames.map(\.x.lowerBound).min()!...frames.map(\.x.upperBound).max()!,
            y: frames.map(\.y.lowerBound).min()!...frames.map(\.y.upperBound).max()!)
        var script = PlotScript()
        script.add(frame.commands)
        script.add(
            "unset key; set xlabel 'speed-up' offset 0,0.5; set ylabel 'error rate (%)'; set format x '%gx'")
        var plots: [String] = []
        for (index, run) in runs.enumerated() {
            let counts = split == "tune" ? run.record.path.tune : run.record.path.test
            let style = Self.style(index)
            let data = script.data(zip(counts.speedUps, counts.errorRates).map { [$0, 100 * $1] })
            plots.append("\(data) using 1:2 with lines lw 2 dt \(style.dash) \(PlotScript.color(style.color))")
            let own = run.record.splits[split]!
            let policy = script.data([[own.speedUp, 100 * own.error]])
            plots.append("\(policy) using 1:2 with points pt 13 ps 0.9 \(PlotScript.color(style.color))")
        }
        script.add("plot " + plots.joined(separator: ", "))
        return Figure(
            id: "frontier-\(split)", title: "Error and speed-up on \(split)",
            caption: "Lines: all thresholds of a run’s family. Diamonds: its policy.",
            alternative: "Error rate against speed-up on \(split): "
                + runs.map { run in
                    let own = run.record.splits[split]!
                    return "\(run.folder.path) \(Format.speedUp(own.speedUp)), \(Format.percent(own.error))"
                }.joined(separator: "; ") + ".",
            commands: script.text, frame: frame)
    }

    /// Which share of test samples leaves where.
    var shareFigure: Figure {
        var script = PlotScript()
        let exits = runs.map(\.exitCount).max()!
        var plots: [String] = []
        let width = 0.8 / Double(runs.count)
        for (index, run) in runs.enumerated() {
            let rows = run.record.splits["test"]!.exits.enumerated().map { exit, one -> [Double?] in
                [Double(exit) - 0.4 + (Double(index) + 0.5) * width, 100 * one.share]
            }
            plots.append("\(script.data(rows)) using 1:2 with boxes \(PlotScript.color(Self.style(index).color))")
        }
        script.add(
            "unset key; set xlabel 'exit'; set xrange [-0.6:\(Double(exits) - 0.4)]; set xtics 0,\(max(1, (exits + 15) / 16)); "
                + "set ylabel 'share of samples (%)'; set yrange [0:*]; set boxwidth \(width)")
        script.add("plot " + plots.joined(separator: ", "))
        return Figure(
            id: "shares", title: "Share of test samples that leaves at each exit",
            caption: "Runs side by side, in the order of the legend.",
            alternative: "Share of test samples that leaves at each exit, run by run; the table below has the numbers.",
            commands: script.text)
    }
}
