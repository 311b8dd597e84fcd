import Foundation

/// A slider over the policies of a curve: what each costs and errs on tune and on test. A certificate it is not.
struct Explorer {
    let report: RunReport

    /// What the script reads.
    private struct Data: Encodable {
        var path: PolicyCurve
        var exits: [String]
    }

    var html: HTML {
        let path = report.record.path
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard
            let json = try? encoder.encode(Data(path: path, exits: report.policy.exits.map(\.name)))
        else { preconditionFailure("a curve holds finite numbers only") }
        // Nothing in a JSON text may end the element that holds it.
        let data = String(decoding: json, as: UTF8.self).replacing("<", with: "\\u003c")
        let bars = report.policy.exits.map { exit -> HTML in
            """
            <span>\(exit.index): \(exit.name), <span data-field="threshold.\(exit.index)"></span></span>\
            <span><span class="bar" data-bar="\(exit.index)" style="display:block;width:0"></span></span>\
            <span class="number" data-field="share.\(exit.index)"></span>

            """
        }
        let reset: HTML =
            path.chosen == nil
            ? "" : "<button type=\"button\" id=\"explorer-reset\">Back to the certified policy</button>"
        let fields = ["error", "gap", "harmful", "helpful", "speed-up"]
        func row(_ split: String) -> HTML {
            let cells = fields.map { "<td class=\"number\" data-field=\"\(split).\($0)\"></td>" as HTML }
            return "<tr><td>\(split)</td>\(cells)</tr>\n"
        }
        return """
            <div class="explorer">
            <h3>Look at other thresholds</h3>
            <noscript><p>This part needs JavaScript; everything else does not.</p></noscript>
            <p class="quiet">An exploration and no certificate: a threshold that is chosen here by what it does on test has been \
            chosen on test. To certify another one, change the recipe’s guarantee and run it on certify samples that were not \
            used before.</p>
            <label for="explorer-slider">From never leaving early to the fastest</label>
            <input id="explorer-slider" type="range" min="0" max="\(path.shifts.count - 1)" step="1" value="\(path.chosen ?? 0)">
            <p aria-live="polite"><span data-field="note"></span> \(reset)</p>
            <div class="table"><table>
            <thead><tr><th scope="col">split</th><th scope="col" class="number">error</th><th scope="col" class="number">gap \
            (points)</th><th scope="col" class="number">harmful</th><th scope="col" class="number">helpful</th>\
            <th scope="col" class="number">speed-up</th></tr></thead>
            <tbody>
            \(row("tune"))\(row("test"))</tbody>
            </table></div>
            <p class="quiet">Share of test samples that leaves at each exit:</p>
            <div class="bars">
            \(bars)</div>
            <script type="application/json" id="explorer-data">\(HTML(markup: data))</script>
            </div>

            """
    }
}
