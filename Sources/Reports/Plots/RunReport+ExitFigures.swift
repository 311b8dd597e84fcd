extension RunReport {
    /// The error rate of each exit by itself, on every split, with exact intervals.
    var errorFigure: Figure {
        var script = PlotScript()
        let series: [(split: String, color: PlotColor, point: Int)] = [
            ("train", .muted, 2), ("tune", .blue, 7), ("certify", .purple, 9), ("test", .green, 5),
        ]
        let shown = series.filter { evaluation.exits[0].splits[$0.split] != nil }
        var plots: [String] = []
        for (place, one) in shown.enumerated() {
            let rows = evaluation.exits.map { exit -> [Double?] in
                let split = exit.splits[one.split]
                // Side by side, so that intervals do not hide each other.
                let x = Double(exit.index) + 0.16 * (Double(place) - Double(shown.count - 1) / 2)
                return [
                    x, split.map { 100 * $0.errorRate }, split.map { 100 * $0.interval[0] },
                    split.map { 100 * $0.interval[1] },
                ]
            }
            let data = script.data(rows)
            let color = PlotScript.color(one.color)
            plots.append("\(data) using 1:2 with lines lw 0.75 \(color) notitle")
            plots.append(
                "\(data) using 1:2:3:4 with yerrorbars pt \(one.point) ps 0.45 lw 1.2 \(color) title '\(one.split)'")
        }
        script.add(exitAxis)
        script.add("set ylabel 'error rate (%)'; set yrange [0:*]; set bars 0")
        script.add("plot " + plots.joined(separator: ", "))
        let test = evaluation.exits.compactMap { exit in exit.splits["test"].map { (exit.index, $0.errorRate) } }
        let best = test.min { $0.1 < $1.1 }
        return Figure(
            id: "errors", title: "Error rate of each exit by itself",
            caption: """
                Every sample leaving at that one exit. Bars: exact 95 % intervals. Heads were trained on train, weights and \
                thresholds chosen on tune.
                """,
            alternative: "Error rate of each exit with 95 % intervals on \(shown.map(\.split).joined(separator: ", "))."
                + (best.map {
                    " On test the lowest is \(Format.percent($0.1)) at exit \($0.0); the last exit has "
                        + "\(Format.percent(test[test.count - 1].1))."
                } ?? ""),
            commands: script.text)
    }

    /// Which share of samples leaves where.
    var shareFigure: Figure {
        var script = PlotScript()
        let rows = policy.exits.indices.map { exit -> [Double?] in
            [
                Double(exit), 100 * record.splits["tune"]!.exits[exit].share,
                100 * record.splits["test"]!.exits[exit].share,
            ]
        }
        let data = script.data(rows)
        script.add(exitAxis)
        script.add("set ylabel 'share of samples (%)'; set yrange [0:*]; set boxwidth 0.38")
        script.add(
            "plot \(data) using ($1-0.2):2 with boxes \(PlotScript.color(.blue)) title 'tune', "
                + "\(data) using ($1+0.2):3 with boxes \(PlotScript.color(.green)) title 'test'")
        let test = record.splits["test"]!.exits
        return Figure(
            id: "shares", title: "Share of samples that leaves at each exit",
            caption: "What the policy does: at the last exit everybody leaves who is left.",
            alternative: "Share of samples leaving at each exit. On test: "
                + test.enumerated().filter { $0.element.released > 0 }
                .map { "\(Format.percent($0.element.share)) at exit \($0.offset)" }.joined(separator: ", ") + ".",
            commands: script.text)
    }

    /// The error rate of those that leave, beside the reference's on the same samples.
    var leaverFigure: Figure {
        var script = PlotScript()
        let test = record.splits["test"]!
        let rows = test.exits.enumerated().map { exit, one -> [Double?] in
            [
                Double(exit), one.error.map { 100 * $0 }, one.interval.map { 100 * $0[0] },
                one.interval.map { 100 * $0[1] }, one.referenceError.map { 100 * $0 },
            ]
        }
        let data = script.data(rows)
        script.add(exitAxis)
        script.add("set ylabel 'error rate of those (%)'; set yrange [0:*]; set bars 0")
        script.add(
            "plot \(data) using ($1-0.1):2:3:4 with yerrorbars pt 7 ps 0.6 lw 1.4 \(PlotScript.color(.orange)) "
                + "title 'policy', \(data) using ($1+0.1):5 with points pt 4 ps 0.7 lw 1.4 "
                + "\(PlotScript.color(.ink)) title \(PlotScript.quoted("\(referenceName), same samples"))")
        return Figure(
            id: "leavers", title: "Error of those that leave there, on test",
            caption: """
                Samples that leave early are the easy ones, and \(referenceName) errs less on them too: only the pair of \
                marks tells what an exit costs. Bars: exact 95 % intervals, exit by exit.
                """,
            alternative: "Error rate of the test samples that leave at each exit, beside that of \(referenceName) on "
                + "the same samples. In all \(Format.percent(test.error)) against \(Format.percent(test.referenceError)).",
            commands: script.text)
    }

    /// Where the flips are that the certificate counts.
    var flipFigure: Figure {
        var script = PlotScript()
        let certify = record.splits["certify"]!
        let rows = certify.exits.enumerated().map { exit, one -> [Double?] in
            [Double(exit), Double(one.harmfulFlips), -Double(one.helpfulFlips)]
        }
        let data = script.data(rows)
        let largest = max(1, certify.exits.flatMap { [$0.harmfulFlips, $0.helpfulFlips] }.max() ?? 1)
        script.add(exitAxis)
        script.add(
            "set ylabel 'samples'; set boxwidth 0.6; set yrange [\(-1.15 * Double(largest)):\(1.15 * Double(largest))]")
        // Both directions count samples, so neither is negative to the reader.
        script.add("set ytics (\(Self.mirroredTics(largest)))")
        script.add("set xzeroaxis lt 1 \(PlotScript.color(.muted))")
        script.add(
            "plot \(data) using 1:2 with boxes \(PlotScript.color(.orange)) title 'harmful (up)', "
                + "\(data) using 1:3 with boxes \(PlotScript.color(.blue)) title 'helpful (down)'")
        return Figure(
            id: "flips", title: "Flips against \(referenceName), on certify",
            caption: """
                Up: the policy wrong and \(referenceName) right. Down: the other way round. The certificate counts these \
                pairs: \(CitedFile(name: "report.json")["splits"]["certify"].number("harmfulFlips", certify.harmfulFlips)) \
                harmful, \(CitedFile(name: "report.json")["splits"]["certify"].number("helpfulFlips", certify.helpfulFlips)) \
                helpful.
                """,
            alternative: "Harmful and helpful flips on certify by the exit at which samples leave: "
                + "\(certify.harmfulFlips) and \(certify.helpfulFlips) in all.",
            commands: script.text)
    }

    /// Ticks of a count that read the same up and down.
    static func mirroredTics(_ largest: Int) -> String {
        let step = Int(max(1, PlotScript.step(Double(largest), ticks: 4)))
        return stride(from: 0, through: largest, by: step).flatMap { value in
            value == 0 ? ["'0' 0"] : ["'\(value)' \(value)", "'\(value)' -\(value)"]
        }.joined(separator: ", ")
    }

    /// The axis of exits, with a tick for each where there is room.
    var exitAxis: String {
        let step = max(1, (exitCount + 15) / 16)
        return "set xlabel 'exit'; set xrange [-0.6:\(Double(exitCount) - 0.4)]; set xtics 0,\(step)"
    }
}
