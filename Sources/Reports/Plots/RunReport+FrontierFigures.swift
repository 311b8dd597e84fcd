import Foundation

extension RunReport {
    /// The range of both frontier plots: from the final layer to where errors are plainly too many.
    var frontierFrame: PlotFrame {
        let finals = [record.path.tune, record.path.test].map { $0.errorRates[0] }
        let final = finals.max()!
        let allowed = record.guarantee.allowedGap
        let highest = final + max(0.02, 0.25 * final, 3 * allowed)
        var (least, fastest) = (finals.min()!, 1.5)
        func take(_ speedUps: [Double], _ errors: [Double]) {
            for (speedUp, error) in zip(speedUps, errors) where error <= highest {
                least = min(least, error)
                fastest = max(fastest, speedUp)
            }
        }
        take(record.path.tune.speedUps, record.path.tune.errorRates)
        take(record.path.test.speedUps, record.path.test.errorRates)
        for rule in record.otherRules {
            take(rule.tune.speedUps, rule.tune.errors)
            take(rule.test.speedUps, rule.test.errors)
        }
        let lowest = max(0, least - 0.15 * (highest - least))
        return PlotFrame(
            x: (1 - 0.02 * (fastest - 1))...(1 + 1.04 * (fastest - 1)), y: (100 * lowest)...(100 * highest))
    }

    /// Error against speed-up on a split: the policy's family, other rules, and what is certified.
    ///
    /// - Parameter split: `tune` or `test`.
    func frontierFigure(_ split: String) -> Figure {
        let isTune = split == "tune"
        let counts = isTune ? record.path.tune : record.path.test
        let frame = frontierFrame
        let reference = 100 * Double(counts.referenceErrors) / Double(max(counts.samples, 1))
        let allowed = reference + 100 * record.guarantee.allowedGap
        let policySpeed = record.splits[split]!.speedUp
        var script = PlotScript()
        script.add(frame.commands)
        script.add("set xlabel 'speed-up' offset 0,0.5; set ylabel 'error rate (%)'; set format x '%gx'")
        if policy.certificate != nil {
            script.add(
                "set object 1 rect from \(frame.x.lowerBound),\(frame.y.lowerBound) to \(policySpeed),"
                    + "\(min(allowed, frame.y.upperBound)) fc rgb '\(PlotColor.shade.light)' fs solid noborder behind")
        }
        script.add(
            "set arrow 1 from graph 0,first \(allowed) to graph 1,first \(allowed) nohead dt 2 lw 1.2 "
                + PlotScript.color(.muted))
        var plots: [String] = []
        for (rule, style) in zip(record.otherRules, PlotLegend.ruleStyles) {
            let points = isTune ? rule.tune : rule.test
            let data = script.data(zip(points.speedUps, points.errors).map { [$0, 100 * $1] })
            plots.append("\(data) using 1:2 with lines lw 1.2 dt \(style.dash) \(PlotScript.color(style.color))")
        }
        let own = script.data(zip(counts.speedUps, counts.errorRates).map { [$0, 100 * $1] })
        plots.append("\(own) using 1:2 with lines lw 2.6 \(PlotScript.color(.ink))")
        if isTune {
            for (passed, point) in [(true, "pt 7 ps 0.4"), (false, "pt 2 ps 0.6 lw 1.6")] {
                let steps = record.walk.tested.filter { $0.passed == passed }
                guard !steps.isEmpty else { continue }
                let data = script.data(steps.map { [$0.speedUp, 100 * $0.error] })
                plots.append("\(data) using 1:2 with points \(point) \(PlotScript.color(.orange))")
            }
        }
        let chosen = script.data([[policySpeed, 100 * record.splits[split]!.error]])
        plots.append("\(chosen) using 1:2 with points pt 13 ps 0.9 \(PlotScript.color(.orange))")
        script.add("unset key")
        script.add("plot " + plots.joined(separator: ", "))
        return Figure(
            id: "frontier-\(split)", title: "Error and speed-up on \(split)",
            caption: isTune
                ? """
                What each threshold costs and errs where thresholds were chosen: flattering. Shaded: speeds up to the \
                certified one, errors within the allowed gap. Dashed: the error of \
                \(referenceName) and the allowed gap together.
                """
                : """
                The same policies on samples that nothing was chosen on. One draw: the certificate is from certify, not \
                from here.
                """,
            alternative: "Error rate against speed-up on \(split) for the policies of this family and "
                + "\(record.otherRules.count) other rules. The policy is at \(Format.speedUp(policySpeed)) and "
                + "\(Format.percent(record.splits[split]!.error)); \(referenceName) has \(String(format: "%.2f", reference)) %.",
            commands: script.text, frame: frame)
    }
}
