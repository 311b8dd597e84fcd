import Evaluation
import ExitRules
import Foundation
import Statistics
import Testing
import ThresholdOptimizer

@testable import Reports

@Suite("Pieces of a page")
struct HTMLTests {
    @Test("texts are escaped, pieces of markup are not")
    func escaping() {
        let name = "<b>\"a\" & 'b'</b>"
        let piece: HTML = "<p title=\"\(name)\">\(name)</p>"
        let escaped = "&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;"
        #expect(piece.text == "<p title=\"\(escaped)\">\(escaped)</p>")
        #expect(
            ("<div>\(piece)\([piece, piece])\(3)</div>" as HTML).text
                == "<div>\(piece.text)\(piece.text)\(piece.text)3</div>")
    }

    @Test("a cited number says where it stands")
    func cited() {
        let file = CitedFile(name: "report.json")["splits"]["test"]["exits"][2]
        #expect(
            file.number("share", 0.25, .percent).text
                == "<data value=\"0.25\" data-source=\"report.json#/splits/test/exits/2/share\" data-style=\"percent\">25.00 %</data>"
        )
        #expect(file.number("error", nil, .percent).text == "–")
    }
}

@Suite("Pieces of a plot")
struct PlotTests {
    @Test("a step is round, and a range has at most so many")
    func steps() {
        #expect(PlotScript.step(3.2, ticks: 4) == 1)
        #expect(PlotScript.step(9, ticks: 4) == 5)
        #expect(PlotScript.step(0.7, ticks: 4) == 0.2)
        var generator = SplitMix64(seed: 1)
        for _ in 0..<1000 {
            let range = Double.random(in: 1e-6...1e6, using: &generator)
            let count = range / PlotScript.step(range, ticks: 5)
            #expect(count <= 5.000001 && count > 1.9)
        }
    }

    @Test("a picture has the page's colours and no ids, fonts or backgrounds of its own")
    func picture() throws {
        let gnuplot = try #require(Gnuplot(), "the tests draw with gnuplot, which `make packages` installs")
        var script = PlotScript()
        let data = script.data([[1, 2, 1, 3], [2, 0.25, 0.125, 0.5], [3, nil, nil, nil]])
        script.add("set xlabel \(PlotScript.quoted("it's <b> & `date`"))")
        script.add("plot \(data) using 1:2:3:4 with yerrorbars pt 7 \(PlotScript.color(.blue)) title 'a'")
        let figure = Figure(id: "own", title: "T", alternative: "what it shows", commands: script.text)
        let markup = try gnuplot.draw([figure]).get()[0].markup
        #expect(markup.hasPrefix("<svg id=\"own\" viewBox=\"0 0 480 330\" role=\"img\" aria-label=\"what it shows\""))
        #expect(markup.contains("var(--blue)") && markup.contains("it's &lt;b> &amp; `date`"))
        #expect(!markup.contains("rgb(") && !markup.contains("font-family") && !markup.contains("xlink"))
        #expect(markup.matches(of: #/ id="/#).count == 1)
        #expect(markup.matches(of: #/<g[ >]/#).count == markup.matches(of: #/</g>/#).count)
    }

    @Test("a failed drawing tells why")
    func failure() throws {
        let gnuplot = try #require(Gnuplot())
        let figure = Figure(id: "f", title: "T", alternative: "A", commands: "plot nonsense\n")
        guard case .failure(let error) = gnuplot.draw([figure]) else {
            Issue.record("nonsense was drawn")
            return
        }
        #expect(error.message.contains("nonsense"))
    }

    @Test("every colour differs from the page enough to be read: 3 to 1 for lines, 4.5 to 1 for text")
    func contrast() {
        func luminance(_ color: String) -> Double {
            let digits = Array(color.dropFirst())
            let parts = [0, 2, 4].map { start -> Double in
                let value = Double(Int(String(digits[start...(start + 1)]), radix: 16)!) / 255
                return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
            }
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        }
        func ratio(_ first: String, _ second: String) -> Double {
            let (a, b) = (luminance(first), luminance(second))
            return (max(a, b) + 0.05) / (min(a, b) + 0.05)
        }
        for (page, shade) in [("#ffffff", \PlotColor.light), ("#14191f", \PlotColor.dark)] {
            for color in PlotColor.allCases where color != .grid && color != .shade {
                let isText = color == .ink || color == .muted
                #expect(ratio(color[keyPath: shade], page) >= (isText ? 4.5 : 3), "\(color) on \(page)")
            }
            for index in 0..<12 { #expect(ratio(PlotColor.ramp(index, of: 12), page) >= 2.9, "\(index) on \(page)") }
        }
    }
}

@Suite("What a record keeps")
struct RunRecordPartsTests {
    private func table(samples: Int, seed: UInt64) -> ScoreTable {
        var generator = SplitMix64(seed: seed)
        let scores = (0..<3).map { _ in (0..<samples).map { _ in Double.random(in: 0...1, using: &generator) } }
        let correct = (0..<4).map { exit in
            (0..<samples).map { _ in Double.random(in: 0...1, using: &generator) < 0.6 + 0.08 * Double(exit) }
        }
        return ScoreTable(scores: scores, isCorrect: correct, costs: [1, 2, 4, 5])
    }

    @Test("a policy on a split adds up: exits to the whole, flips to the gap")
    func onSplit() {
        let table = table(samples: 500, seed: 1)
        let thresholds = Thresholds([0.8, nil, 0.4])
        let policy = PolicyOnSplit(thresholds, on: table)
        let outcome = evaluate(thresholds, on: table)
        #expect(policy.exits.map(\.released) == outcome.released && policy.exits.map(\.wrong) == outcome.wrong)
        #expect(policy.exits.reduce(0) { $0 + $1.harmfulFlips } == outcome.counts.harmfulFlips)
        #expect(policy.exits.reduce(0) { $0 + $1.helpfulFlips } == outcome.counts.helpfulFlips)
        #expect(policy.error == outcome.errorRate && policy.gap == outcome.counts.riskGap)
        let reference = policy.exits.reduce(0) { $0 + ($1.referenceError ?? 0) * Double($1.released) }
        #expect(abs(reference / 500 - policy.referenceError) < 1e-12)
        #expect(abs(policy.error - policy.referenceError - policy.gap) < 1e-12)
        #expect(policy.exits[1].released == 0 && policy.exits[1].error == nil)
    }

    @Test("of a long path a few policies are kept, evenly spread, the first, the last and the chosen one among them")
    func thinning() {
        let (tune, test) = (table(samples: 3000, seed: 2), table(samples: 400, seed: 3))
        let shared = SingleThresholdFrontier(tune).points.compactMap(\.threshold)
        let path = PolicyPath(sharedThresholds: shared, exitCount: 4)
        #expect(path.count > 2000)
        let curve = PolicyCurve(path, chosen: 1234, tune: tune, test: test)
        #expect((100...(PolicyCurve.mostPolicies + 3)).contains(curve.shifts.count))
        #expect(curve.shifts[0] == nil && curve.shifts[1] == shared[0] && curve.shifts.last! == shared.last!)
        #expect(curve.shifts[curve.chosen!] == shared[1234])
        let steps = zip(curve.tune.speedUps.dropFirst(2), curve.tune.speedUps.dropFirst()).map { $0 - $1 }
        #expect(steps.max()! < 5 * steps.reduce(0, +) / Double(steps.count))
        for (place, shift) in curve.shifts.enumerated() {
            let outcome = evaluate(.shared(shift, exitCount: 4), on: test)
            #expect(curve.test.errors[place] == outcome.errors && curve.test.released[place] == outcome.released)
            #expect(curve.test.speedUps[place] == outcome.speedUp)
        }
    }

    @Test("histograms count each sample that comes to an exit once, in the same bins at every exit")
    func histograms() {
        let table = table(samples: 700, seed: 4)
        let thresholds = Thresholds([0.7, 0.5, nil])
        let released = evaluate(thresholds, on: table).released
        let histograms = ScoreHistogram.all(thresholds, on: table)
        var coming = 700
        for (exit, histogram) in histograms.enumerated() {
            #expect((histogram.right + histogram.wrong).reduce(0, +) == coming)
            coming -= released[exit]
            #expect(histogram.lower == histograms[0].lower && histogram.binWidth == histograms[0].binWidth)
        }
        #expect(histograms.map(\.threshold) == thresholds.values)
        // Scores that are all the same have a bin too.
        let flat = ScoreTable(
            scores: [[2, 2, 2]], isCorrect: [[true, false, true], [true, true, true]], costs: [1, 2])
        #expect(ScoreHistogram.all(Thresholds([nil]), on: flat)[0].right[0] == 2)
    }

    @Test("reliability has the bins that have samples, with exact intervals")
    func reliability() {
        let diagram = ReliabilityDiagram(
            confidences: [0.05, 0.95, 0.97, 0.99], isCorrect: [false, true, true, false], bins: 10)
        let points = ReliabilityPoint.all(diagram)
        let interval = BinomialInterval(successes: 2, trials: 3)
        #expect(points.count == 2 && points[1].samples == 3 && points[1].interval == [interval.lower, interval.upper])
        #expect(points[0].lower == 0 && points[1].upper == 1)
    }
}
