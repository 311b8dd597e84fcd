import Foundation

/// What stands in a report, section by section.
struct ReportContent {
    let report: RunReport
    let figures: FigureSet
    let drawn: DrawnFigures

    let policyFile = CitedFile(name: "policy.json")
    let recordFile = CitedFile(name: "report.json")
    let evaluationFile = CitedFile(name: "evaluation.json")

    var record: RunRecord { report.record }

    var html: HTML {
        """
        \(header)
        <main>
        \(frontierSection)
        \(policySection)
        \(exitSection)
        \(scoreSection)
        \(trainingSection)
        \(tableSection)
        \(guaranteeSection)
        \(provenanceSection)
        </main>

        """
    }

    // MARK: The verdict

    private var header: HTML {
        let samples = recordFile["samples"]
        let sizes = ["train", "tune", "certify", "test"].filter { record.samples.splits[$0, default: 0] > 0 }.map {
            "\($0) \(samples["splits"].number($0, record.samples.splits[$0]!))" as HTML
        }
        let splits = HTML(markup: sizes.map(\.text).joined(separator: ", "))
        let answers: HTML =
            report.policy.rule.tolerance == nil ? "\(report.policy.classes.count) classes" : "numbers"
        return """
            <header>
            <p class="subtitle">Early-exit policy</p>
            <h1>\(record.name)</h1>
            <p class="subtitle">\(samples.number("count", record.samples.count)) samples (\(splits)), \
            \(report.exitCount) exits, \(answers).<br>\(record.rule).</p>
            \(verdict)
            \(keyFigures)
            \(warnings)
            <nav><a href="#frontier">Error and speed-up</a><a href="#policy">The exits</a>\
            <a href="#exits">Confidence</a><a href="#scores">Scores</a><a href="#tables">Tables</a>\
            <a href="#guarantee">The guarantee</a><a href="#provenance">Settings and provenance</a></nav>
            </header>
            """
    }

    private var verdict: HTML {
        guard let certificate = report.policy.certificate else {
            return """
                <div class="verdict open"><p><strong>NOT CERTIFIED.</strong> No policy could be shown to be within the allowed \
                gap (\(recordFile["guarantee"].number("allowedGap", record.guarantee.allowedGap, .allowedGap)) points above \
                \(report.referenceName)) on this certify split, so this policy never leaves early.</p></div>
                """
        }
        let text = CertificateText(certificate, exits: report.policy.exits.map(\.name)).text
        // The word at the start is set apart; the sentence is the command's own.
        let sentence = text.replacing("CERTIFIED: ", with: "", maxReplacements: 1)
        // Who has looked at the samples before has no guarantee, whatever the test says.
        let doubt: HTML =
            certificate.isOverused
            ? "<p>But these certify samples have been used before: what that means is said below.</p>" : ""
        return """
            <div class="verdict\(certificate.isOverused ? " open" : "")"><p><strong>CERTIFIED</strong> \
            \(sentence.prefix(1).uppercased() + sentence.dropFirst())</p>\(doubt)</div>
            """
    }

    private var keyFigures: HTML {
        let test = record.splits["test"]!
        let file = recordFile["splits"]["test"]
        let interval: HTML =
            test.gapInterval == nil
            ? "" : "95 % interval \(file.interval("gapInterval", test.gapInterval, .points)); "
        let certified: HTML
        if let certificate = report.policy.certificate {
            let cited = policyFile["certificate"]
            certified = """
                <dd>\(cited.number("samples", certificate.samples))<small>\
                \(cited.number("harmfulFlips", certificate.harmfulFlips)) harmful against \
                \(cited.number("helpfulFlips", certificate.helpfulFlips)) helpful flips, \
                p = \(cited.number("pValue", certificate.pValue, .probability)), \
                level \(cited.number("failureProbability", certificate.failureProbability, .short))</small></dd>
                """
        } else {
            certified = "<dd>–<small>nothing was shown</small></dd>"
        }
        return """
            <dl class="key">
            <div><dt>Speed-up on test</dt><dd>\(file.number("speedUp", test.speedUp, .speedUp))\
            <small>in \(record.costUnit), measured and not guaranteed</small></dd></div>
            <div><dt>Error on test</dt><dd>\(file.number("error", test.error, .percent))\
            <small>\(report.referenceName): \(file.number("referenceError", test.referenceError, .percent))</small></dd></div>
            <div><dt>Gap on test, points</dt><dd>\(file.number("gap", test.gap, .points))\
            <small>\(interval)\(file.number("samples", test.samples)) samples</small></dd></div>
            <div><dt>Certify samples</dt>\(certified)</div>
            </dl>
            """
    }

    private var warnings: HTML {
        let pictures = drawn.missing.map { [$0] } ?? []
        let all = record.warnings + pictures
        guard !all.isEmpty else { return "" }
        let items = all.map { "<li>\($0.prefix(1).uppercased() + $0.dropFirst())</li>\n" as HTML }
        return "<div class=\"warnings\" role=\"note\"><ul>\n\(items)</ul></div>"
    }

    // MARK: Pictures

    private var frontierSection: HTML {
        """
        <section id="frontier">
        <h2>Error and speed-up</h2>
        \(drawn.missing == nil ? report.frontierLegend : "")\(drawn.grid(figures.frontier, class: "panels"))\(Explorer(report: report).html)</section>
        """
    }

    private var policySection: HTML {
        """
        <section id="policy">
        <h2>The exits, and where samples leave</h2>
        \(drawn.grid(figures.policy, class: "panels"))\(policyTable)</section>
        """
    }

    private var exitSection: HTML {
        let reliability: HTML =
            figures.reliability.isEmpty || drawn.missing != nil
            ? ""
            : """
            <p class="quiet">How often an exit is right at which confidence, on test, with exact 95 % intervals; on the dashed line \
            it is right as often as it says. Grey, along the bottom: how many samples have that confidence. ECE: expected \
            calibration error.</p>
            \(drawn.grid(figures.reliability, class: "small"))
            """
        return """
            <section id="exits">
            <h2>Is the confidence to be believed?</h2>
            \(reliability)\(exitTable)</section>
            """
    }

    private var scoreSection: HTML {
        guard drawn.missing == nil, !figures.scores.isEmpty else { return "<section id=\"scores\"></section>" }
        return """
            <section id="scores">
            <h2>Scores</h2>
            <p class="quiet">The scores of the test samples that come to an exit: blue, upwards, those it gets right; orange, \
            downwards, those it gets wrong. Who lies at or to the right of the dashed line leaves there.</p>
            \(drawn.grid(figures.scores, class: "small"))</section>
            """
    }

    private var trainingSection: HTML {
        guard drawn.missing == nil, !figures.learning.isEmpty else { return "" }
        return """
            <section id="training">
            <h2>Training</h2>
            \(drawn.grid(figures.learning, class: "panels"))</section>
            """
    }

    private var tableSection: HTML {
        """
        <section id="tables">
        <h2>Tables</h2>
        \(splitTable)\(servingText)\(alternativeTable)\(optimalityText)\(tradeOffTable)\(partsTable)</section>
        """
    }
}
