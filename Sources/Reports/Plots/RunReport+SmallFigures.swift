import Foundation

extension RunReport {
    /// The exits of which small plots are shown: all of them, or of many some that are about equally far apart.
    static func shown(_ count: Int, most: Int = 16) -> [Int] {
        guard count > most else { return Array(0..<count) }
        return (0..<most).map { $0 * (count - 1) / (most - 1) }
    }

    /// Scores at each exit but the last, right above wrong, with the threshold.
    var scoreFigures: [Figure] {
        Self.shown(record.scores.count).map { exit in
            let histogram = record.scores[exit]
            var script = PlotScript()
            let rows = histogram.right.indices.map { bin -> [Double?] in
                [
                    histogram.lower + (Double(bin) + 0.5) * histogram.binWidth, Double(histogram.right[bin]),
                    -Double(histogram.wrong[bin]),
                ]
            }
            let data = script.data(rows)
            let (right, wrong) = (histogram.right.max() ?? 0, histogram.wrong.max() ?? 0)
            let upper = histogram.lower + Double(histogram.right.count) * histogram.binWidth
            var range = histogram.lower...upper
            for threshold in record.scores.compactMap(\.threshold) {
                range = min(range.lowerBound, threshold)...max(range.upperBound, threshold)
            }
            let margin = 0.03 * (range.upperBound - range.lowerBound)
            script.add(
                "unset key; set xrange [\(range.lowerBound - margin):\(range.upperBound + margin)]; "
                    + "set xtics \(PlotScript.step(range.upperBound - range.lowerBound, ticks: 4)); set boxwidth \(histogram.binWidth)"
            )
            script.add(
                "set yrange [\(-1.1 * Double(max(wrong, 1))):\(1.1 * Double(max(right, 1)))]; set ytics (\(Self.mirroredTics(max(right, wrong, 1))))"
            )
            script.add("set xzeroaxis lt 1 \(PlotScript.color(.muted))")
            if let threshold = histogram.threshold {
                script.add(
                    "set arrow 1 from \(threshold),graph 0 to \(threshold),graph 1 nohead lw 1.6 dt 2 "
                        + PlotScript.color(.ink))
            }
            script.add(
                "plot \(data) using 1:2 with boxes \(PlotScript.color(.blue)), "
                    + "\(data) using 1:3 with boxes \(PlotScript.color(.orange))")
            let counts = (histogram.right.reduce(0, +), histogram.wrong.reduce(0, +))
            return Figure(
                id: "scores-\(exit)", title: title(ofExit: exit),
                caption: histogram.threshold == nil
                    ? "nobody leaves here"
                    : """
                    leaves from \(CitedFile(name: "policy.json")["exits"][exit].number("threshold", histogram.threshold, .decimal))
                    """,
                alternative:
                    "Scores of the \(Format.count(counts.0 + counts.1)) test samples that come to exit \(exit): "
                    + "\(Format.count(counts.0)) right, \(Format.count(counts.1)) wrong; "
                    + (histogram.threshold.map { "threshold \(Format.decimal($0))." } ?? "no threshold."),
                size: .small, commands: script.text)
        }
    }

    /// How often each exit is right at which confidence.
    var reliabilityFigures: [Figure] {
        guard let reliability = record.reliability else { return [] }
        // Confidence cannot be lower than this.
        let lowest = policy.rule.confidence == .maxProbability ? 1 / Double(max(policy.classes.count, 1)) : 0
        let leastAccurate = reliability.joined().map(\.accuracy).min() ?? 0
        let bottom = max(0, min(lowest, leastAccurate) - 0.05)
        return Self.shown(reliability.count).map { exit in
            let points = reliability[exit]
            var script = PlotScript()
            let data = script.data(
                points.map { [$0.confidence, $0.accuracy, $0.interval[0], $0.interval[1], Double($0.samples)] })
            let bars = script.data(points.map { [($0.lower + $0.upper) / 2, Double($0.samples)] })
            let most = Double(points.map(\.samples).max() ?? 1)
            let width = points.first.map { $0.upper - $0.lower } ?? 0.05
            script.add(
                "unset key; set xrange [\(lowest - 0.02):1.02]; set yrange [\(bottom):1.02]; set bars 0; "
                    + "set xtics 0,0.25,1 add (0.5); set ytics 0,0.25; set format '%g'; set boxwidth \(0.9 * width)")
            script.add(
                "set arrow 1 from \(max(lowest, bottom)),\(max(lowest, bottom)) to 1,1 nohead lw 1.2 dt 2 "
                    + PlotScript.color(.muted))
            // How many samples a mark speaks for, along the bottom: the tallest takes a quarter of the height.
            let height = 0.25 * (1.02 - bottom)
            script.add(
                "plot \(bars) using 1:(\(bottom)+\(height)*$2/\(most)) with boxes \(PlotScript.color(.grid)), "
                    + "\(data) using 1:2:3:4 with yerrorbars pt 7 ps 0.4 lw 1.2 \(PlotScript.color(.green))")
            let ece = evaluation.exits[exit].splits["test"]?.ece
            let source = CitedFile(name: "evaluation.json")["exits"][exit]["splits"]["test"]
            return Figure(
                id: "reliability-\(exit)", title: title(ofExit: exit),
                caption: "ECE \(source.number("ece", ece, .decimal))",
                alternative: "Reliability of exit \(exit) on test: accuracy against confidence in bins; expected "
                    + "calibration error \(ece.map(Format.decimal) ?? "unknown").",
                size: .small, commands: script.text)
        }
    }

    /// How the loss fell, a line for each exit; a second plot where error or loss on tune was measured on the way.
    var learningFigures: [Figure] {
        guard !curves.isEmpty else { return [] }
        func figure(
            _ id: String, _ title: String, axis: String, _ values: (TrainingCurve) -> [Double?]
        ) -> Figure {
            var script = PlotScript()
            var plots: [String] = []
            for curve in curves {
                let data = script.data(values(curve).enumerated().map { [Double($0.offset + 1), $0.element] })
                let isNamed = curve.exit == 0 || curve.exit == curves.count - 1
                plots.append(
                    "\(data) using 1:2 with lines lw 1.4 lc rgb '\(PlotColor.ramp(curve.exit, of: curves.count))' "
                        + (isNamed ? "title 'exit \(curve.exit)'" : "notitle"))
            }
            script.add("set xlabel 'pass over train'; set ylabel '\(axis)'; set xrange [1:*]; set xtics autofreq")
            script.add("plot " + plots.joined(separator: ", "))
            let last = curves.map { values($0).last.flatMap { $0 } ?? .nan }
            return Figure(
                id: id, title: title,
                caption: """
                    A line for each exit\(record.selection == nil ? "" : " that was trained, offered or not"), amber for the \
                    first to blue for the last, with the penalty that was kept.
                    """,
                alternative: "\(title), exit by exit; it ends at "
                    + last.map { String(format: "%.4g", $0) }.joined(separator: ", ") + ".",
                commands: script.text)
        }
        var figures = [
            figure("learning", "Learning curves", axis: "loss on train") { $0.trainLoss.map(Optional.some) }
        ]
        if curves.contains(where: { $0.tuneError.count { $0 != nil } > 1 }) {
            figures.append(
                figure("learning-tune", "Error on tune while training", axis: "error rate on tune (%)") {
                    $0.tuneError.map { $0.map { 100 * $0 } }
                })
        }
        return figures
    }

    /// `exit 3: layer 4`.
    private func title(ofExit exit: Int) -> String { "exit \(exit): \(policy.exits[exit].name)" }
}
