import ExitPolicy

extension ReportContent {
    /// Weights, thresholds, and who leaves where.
    var policyTable: HTML {
        var table = HTMLTable(
            "The policy: weights, thresholds, and who leaves where",
            [
                ("exit", .left), ("name", .left), ("cost", .right), ("weight", .right), ("threshold", .right),
                ("leave (tune)", .right), ("leave (test)", .right), ("error of those (test)", .right),
                ("95 % interval", .right), ("reference, same samples", .right), ("adds (points)", .right),
            ])
        let (tune, test) = (record.splits["tune"]!, record.splits["test"]!)
        for exit in report.policy.exits {
            let cited = policyFile["exits"][exit.index]
            let onTune = recordFile["splits"]["tune"]["exits"][exit.index]
            let onTest = recordFile["splits"]["test"]["exits"][exit.index]
            let leavers = test.exits[exit.index]
            let isFinal = exit.index == report.exitCount - 1
            table.add([
                "\(exit.index)", "\(exit.name)", cited.number("cost", exit.cost, .short),
                cited.number("weight", exit.weight, .decimal),
                isFinal
                    ? "all leave"
                    : exit.threshold == nil ? "never" : cited.number("threshold", exit.threshold, .decimal),
                onTune.number("share", tune.exits[exit.index].share, .percent),
                onTest.number("share", leavers.share, .percent), onTest.number("error", leavers.error, .percent),
                onTest.interval("interval", leavers.interval, .percent),
                onTest.number("referenceError", leavers.referenceError, .percent),
                onTest.number("contribution", leavers.contribution, .points),
            ])
        }
        let cited = recordFile["splits"]["test"]
        return """
            \(table.html)<p class="quiet">Errors on test in all: \(cited.number("error", test.error, .percent)), at most \
            \(cited.number("errorBound", test.errorBound, .percent)) with 95 % confidence (exact, on the total; the exits’ \
            intervals explain, and do not add up to a bound).</p>

            """
    }

    /// The error rates of the exits by themselves.
    var exitTable: HTML {
        let splits = ["train", "tune", "certify", "test"].filter {
            report.evaluation.exits[0].splits[$0] != nil
        }
        var table = HTMLTable(
            "Every sample leaving at one exit; flips against the final layer",
            [("exit", .left), ("name", .left)]
                + splits.flatMap { [("\($0) error", TextTable.Alignment.right)] }
                + [
                    ("95 % interval (test)", .right), ("confidence (test)", .right), ("ECE (test)", .right),
                    ("harmful (test)", .right), ("helpful (test)", .right),
                ])
        for exit in report.evaluation.exits {
            let cited = evaluationFile["exits"][exit.index]["splits"]
            var cells: [HTML] = ["\(exit.index)", "\(exit.name)"]
            cells += splits.map { cited[$0].number("errorRate", exit.splits[$0]?.errorRate, .percent) }
            let test = exit.splits["test"]
            cells += [
                cited["test"].interval("interval", test?.interval, .percent),
                cited["test"].number("meanConfidence", test?.meanConfidence, .decimal),
                cited["test"].number("ece", test?.ece, .decimal),
                test.map { cited["test"].number("harmfulFlips", $0.harmfulFlips) } ?? "–",
                test.map { cited["test"].number("helpfulFlips", $0.helpfulFlips) } ?? "–",
            ]
            table.add(cells)
        }
        return table.html
    }

    /// Error and speed-up on each split.
    var splitTable: HTML {
        var table = HTMLTable(
            "The policy against \(report.referenceName) on the same samples",
            [
                ("split", .left), ("samples", .right), ("reference error", .right), ("policy error", .right),
                ("gap (points)", .right), ("95 % interval", .right), ("harmful", .right), ("helpful", .right),
                ("speed-up", .right),
            ])
        for split in ["tune", "certify", "test"] {
            let result = record.splits[split]!
            let cited = recordFile["splits"][split]
            table.add([
                "\(split)", cited.number("samples", result.samples),
                cited.number("referenceError", result.referenceError, .percent),
                cited.number("error", result.error, .percent), cited.number("gap", result.gap, .points),
                cited.interval("gapInterval", result.gapInterval, .points),
                cited.number("harmfulFlips", result.harmfulFlips), cited.number("helpfulFlips", result.helpfulFlips),
                cited.number("speedUp", result.speedUp, .speedUp),
            ])
        }
        return table.html
    }

    /// What was found on tune and not certified.
    var alternativeTable: HTML {
        var table = HTMLTable(
            "Thresholds tuned to equality overfit, free ones most; only the last line is certified (gaps in points)",
            [
                ("thresholds", .left), ("tune speed-up", .right), ("tune gap", .right), ("test speed-up", .right),
                ("test gap", .right),
            ])
        for (index, alternative) in record.alternatives.enumerated() {
            let cited = recordFile["alternatives"][index]
            table.add([
                "\(alternative.name)", cited["tune"].number("speedUp", alternative.tune.speedUp, .speedUp),
                cited["tune"].number("gap", alternative.tune.gap, .points),
                cited["test"].number("speedUp", alternative.test.speedUp, .speedUp),
                cited["test"].number("gap", alternative.test.gap, .points),
            ])
        }
        let (tune, test) = (recordFile["splits"]["tune"], recordFile["splits"]["test"])
        let own = (tune: record.splits["tune"]!, test: record.splits["test"]!)
        table.add(
            [
                report.policy.certificate == nil ? "this policy: never leaves early" : "certified: this policy",
                tune.number("speedUp", own.tune.speedUp, .speedUp), tune.number("gap", own.tune.gap, .points),
                test.number("speedUp", own.test.speedUp, .speedUp), test.number("gap", own.test.gap, .points),
            ], isMarked: true)
        return table.html
    }

    /// What other gaps would give.
    var tradeOffTable: HTML {
        guard let lines = record.tradeOff else { return "" }
        var table = HTMLTable(
            "Other allowed gaps, predicted by cross-fitting on tune; certify was not looked at for this",
            [
                ("allowed gap (points)", .right), ("predicted speed-up", .right), ("chance of a certificate", .right),
            ])
        for (index, line) in lines.enumerated() {
            let cited = recordFile["tradeOff"][index]
            table.add(
                [
                    cited.number("allowedGap", line.allowedGap, .allowedGap),
                    cited.number("speedUp", line.speedUp, .speedUp),
                    cited.number("certified", line.certified, .percent),
                ], isMarked: line.allowedGap == record.guarantee.allowedGap)
        }
        return table.html
    }

    /// What was shown of the parts of the population.
    var partsTable: HTML {
        guard let parts = report.policy.certificate?.parts else { return "" }
        let kind = parts.partition == .classes ? "class" : "subgroup"
        var table = HTMLTable(
            "What was shown within each \(kind), on certify",
            [(kind, .left), ("samples", .right), ("harmful", .right), ("helpful", .right), ("shown", .left)])
        for (index, member) in parts.members.enumerated() {
            let cited = policyFile["certificate"]["parts"]["members"][index]
            table.add([
                "\(member.name)", cited.number("samples", member.samples),
                cited.number("harmfulFlips", member.harmfulFlips), cited.number("helpfulFlips", member.helpfulFlips),
                member.isCertified ? "yes" : "no",
            ])
        }
        return table.html
    }

    /// What batches make of it.
    var servingText: HTML {
        guard let times = record.serving else { return "" }
        let cited = recordFile["serving"]
        return """
            <p>Test in batches of \(cited.number("batchSize", times.batchSize)), milliseconds a sample: final layer \
            \(cited.number("full", times.full, .short)); survivors regrouped to full batches \
            \(cited.number("regrouped", times.regrouped, .short)); batches that shrink \
            \(cited.number("shrinking", times.shrinking, .short)).</p>

            """
    }

    /// How far the search was from the best.
    var optimalityText: HTML {
        guard let optimality = record.optimality else { return "" }
        let cited = recordFile["optimality"]
        return """
            <p>Thresholds per exit on tune: found \(cited.number("found", optimality.found, .speedUp)), bound \
            \(cited.number("bound", optimality.bound, .speedUp)) (no policy on a grid of \
            \(cited.number("valuesPerExit", optimality.valuesPerExit)) values per exit is faster).</p>

            """
    }
}
