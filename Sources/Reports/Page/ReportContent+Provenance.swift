import ExitPolicy

extension ReportContent {
    /// What the certificate says and what not.
    var guaranteeSection: HTML {
        let guarantee = recordFile["guarantee"]
        let walk = recordFile["walk"]
        let automatic: HTML
        if let picked = record.automatic {
            let cited = recordFile["automatic"]
            automatic = """
                The rule was picked among \(cited.number("candidates", picked.candidates)) by the speed-up predicted to be certified \
                (\(cited.number("predictedSpeedUp", picked.predictedSpeedUp, .speedUp)), the largest of many and so a little \
                flattered); certify played no part.
                """
        } else {
            automatic = ""
        }
        let groups: HTML =
            record.samples.maximumGroupSize > 1
            ? """
            Samples come in groups of up to \(recordFile["samples"].number("maximumGroupSize", record.samples.maximumGroupSize)), \
            and groups were tested as units.
            """ : ""
        return """
            <section id="guarantee">
            <h2>The guarantee</h2>
            <p>Train teaches the heads; tune proposed \(walk.number("candidates", record.walk.candidates)) policies and put \
            \(walk.number("planned", record.walk.planned)) of them in order; certify tested \(record.walk.tested.count) of those, in \
            that order, until one failed, and the last that passed is the policy. \(automatic) \(selection) \(groups)</p>
            <p><strong>What is promised:</strong> the probability, over the draw of the certify split, that a certified policy’s \
            error rate on the source of the samples is above that of \(report.referenceName) by more than the allowed gap \
            (\(guarantee.number("allowedGap", record.guarantee.allowedGap, .allowedGap)) points) is at most \
            \(guarantee.number("failureProbability", record.guarantee.failureProbability, .short))\
            \(record.guarantee.uses == 1 ? "" : ", over all \(record.guarantee.uses) uses together" as HTML). \
            This certify split has been used by \(guarantee.number("certifyUses", record.guarantee.certifyUses)) run(s), and the \
            probability was divided over \(guarantee.number("uses", record.guarantee.uses)).</p>
            <p><strong>What is not:</strong> the speed-up, which is measured; that the policy is better; that no class or group \
            of users is worse off, unless parts were asked for; anything about samples of another source or a later time, or \
            that depend on each other and were not told to be groups.</p>
            </section>
            """
    }

    /// Which exits are not offered, and why.
    private var selection: HTML {
        guard let selection = record.selection, !selection.switchedOff.isEmpty else { return "" }
        let names = selection.switchedOff.joined(separator: ", ")
        guard let predicted = selection.predictedSpeedUp, let ofAll = selection.predictedOfAll else {
            return "Not offered, as the recipe says: \(names)."
        }
        let cited = recordFile["selection"]
        return """
            Exits whose checks cost more than they save were switched off on tune: \(names). Predicted to be certified without \
            them: \(cited.number("predictedSpeedUp", predicted, .speedUp)), the largest of many and so flattered; with all exits: \
            \(cited.number("predictedOfAll", ofAll, .speedUp)).
            """
    }

    /// Settings, hashes and the tool.
    var provenanceSection: HTML {
        let provenance = report.policy.provenance
        var table = HTMLTable("Where this comes from", [("what", .left), ("value", .left)])
        var rows: [(String, HTML)] = [
            ("tool", "\(provenance.tool)"), ("seed", "\(String(provenance.seed))"),
            ("recipe, SHA-256", "<code>\(provenance.recipe)</code>"),
            ("features or outputs, SHA-256", "<code>\(provenance.features.sha256)</code>"),
        ]
        if let heads = report.policy.heads {
            rows.append(("\(heads.file), SHA-256", "<code>\(heads.sha256)</code>"))
        }
        rows += record.files.sorted { $0.key < $1.key }.map { ("\($0.key), SHA-256", "<code>\($0.value)</code>") }
        if let certificate = report.policy.certificate {
            rows.append(("test that certified", "\(certificate.kind.rawValue), order \(certificate.order)"))
        }
        for (name, value) in rows { table.add(["\(name)", value]) }
        return """
            <section id="provenance">
            <h2>Settings and provenance</h2>
            <pre>\(record.recipe)</pre>
            <div class="texts">\(table.html)</div>
            <p class="quiet">Made from <code>policy.json</code>, <code>evaluation.json</code>, <code>report.json</code> and, where \
            heads were trained, <code>training.csv</code>, which lie beside this file. Each number carries the place it was read \
            from (<code>data-source</code>).</p>
            </section>
            """
    }
}
