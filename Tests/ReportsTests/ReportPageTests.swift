import Evaluation
import ExitPolicy
import Foundation
import TestSupport
import Testing

@testable import Calibration
@testable import Reports

@Suite("The report")
struct ReportPageTests {
    /// Looks up every number that a page cites and returns how many there are.
    private func checkNumbers(_ page: ReportPage, of run: ReportedRun) throws -> Int {
        var files: [String: JSONValue] = [:]
        let elements = CitedElement.all(in: page.html)
        for element in elements {
            if files[element.file] == nil {
                files[element.file] = try JSONValue(reading: "\(run.folder.path)/\(element.file)")
            }
            let found = try #require(
                files[element.file]?[pointer: element.pointer]?.number,
                "\(element.file)#\(element.pointer) is not a number")
            #expect(Double(element.value) == found, "\(element.file)#\(element.pointer)")
            #expect(element.text == element.style.text(found), "\(element.file)#\(element.pointer)")
        }
        // An element that the pattern does not know would go unchecked.
        #expect(page.html.matches(of: #/<data /#).count == elements.count)
        return elements.count
    }

    @Test("shows no number that does not stand in the JSON files, to the last bit, at the place it names")
    func numbers() throws {
        let run = try ReportedRun.standard.get()
        #expect(run.result.certificate != nil)
        #expect(try checkNumbers(ReportPage(run.report), of: run) > 150)
    }

    @Test(
        "does so for every kind of run: nothing certified, per exit, classes, hidden heads, patience, a given speed, groups, many exits, two, some, chosen, numbers"
    )
    func kinds() throws {
        var useless = SyntheticCache()
        useless.noise = 30
        var grouped = SyntheticCache()
        grouped.groupSize = 2
        var deep = SyntheticCache()
        deep.exits = 24
        var shallow = SyntheticCache()
        shallow.exits = 2
        var numbers = SyntheticCache()
        numbers.hasTargets = true
        let kinds: [(cache: SyntheticCache, extra: String)] = [
            (useless, ""), (SyntheticCache(), "search: { thresholds: per-exit }"),
            (SyntheticCache(), "guarantee: { allowedGap: 0.05, classes: each }"),
            (
                SyntheticCache(),
                """
                heads: { kind: hidden, width: 8, activation: relu }
                training: { optimizer: adamw, epochs: 60, l2: [1e-3] }
                """
            ),
            (SyntheticCache(), "rule: { kind: patience }"), (SyntheticCache(), "search: { minimumSpeedUp: 1.2 }"),
            (grouped, "guarantee: { allowedGap: 0.05 }"), (deep, ""), (shallow, ""),
            (SyntheticCache(), "search: { exits: [1] }"),
            (deep, "cost: { layers: { check: 0.7 } }\nsearch: { exits: choose }"),
            (
                numbers,
                """
                training: { loss: squared-error }
                rule: { kind: patience, tolerance: 0.5 }
                """
            ),
        ]
        for (index, kind) in kinds.enumerated() {
            let run = try ReportedRun(kind.cache, extra: kind.extra)
            if index == 0 { #expect(run.result.certificate == nil) }
            let page = ReportPage(run.report)
            #expect(page.missingPictures == nil)
            #expect(try checkNumbers(page, of: run) > 60)
            #expect(
                page.html.contains(
                    run.result.certificate == nil ? "<strong>NOT CERTIFIED.</strong>" : "<strong>CERTIFIED</strong>"))
        }
    }

    @Test("has no decimal number in its text that is not looked up, but for the command's own sentence")
    func noOtherNumbers() throws {
        let run = try ReportedRun.standard.get()
        var text = ReportPage(run.report).html
        for element in ["data", "style", "script", "svg", "pre", "code"] {
            text = text.replacing(try Regex("<\(element)[ >].*?</\(element)>").dotMatchesNewlines(), with: "")
        }
        let certificate = try #require(run.report.policy.certificate)
        let sentence = CertificateText(certificate, exits: run.report.policy.exits.map(\.name)).text
            .replacing("CERTIFIED: ", with: "")
        let escaped = HTML.escaped(sentence.prefix(1).uppercased() + sentence.dropFirst())
        #expect(text.contains(escaped))
        text = text.replacing(escaped, with: "").replacing(/<[^>]*>/, with: " ")
        text = text.replacing(run.report.policy.provenance.tool, with: "")
        #expect(text.matches(of: /\d+\.\d+/).map { String($0.0) } == [])
    }

    @Test("draws what the files say: the rows of the plots are those numbers")
    func plots() throws {
        let report = try ReportedRun.standard.get().report
        let errors = report.errorFigure.commands
        for exit in report.evaluation.exits {
            for split in exit.splits.values {
                #expect(
                    errors.contains(" \(100 * split.errorRate) \(100 * split.interval[0]) \(100 * split.interval[1])\n")
                )
            }
        }
        let frontier = report.frontierFigure("test").commands
        for (speedUp, error) in zip(report.record.path.test.speedUps, report.record.path.test.errorRates) {
            #expect(frontier.contains("\n\(speedUp) \(100 * error)\n"))
        }
        let flips = report.flipFigure.commands
        for (exit, one) in report.record.splits["certify"]!.exits.enumerated() {
            #expect(flips.contains("\n\(Double(exit)) \(Double(one.harmfulFlips)) \(-Double(one.helpfulFlips))\n"))
        }
    }

    @Test("is one file: nothing in it is fetched from elsewhere, and every picture has an alternative text")
    func selfContained() throws {
        let html = ReportPage(try ReportedRun.standard.get().report).html
        // The one address is the name of a namespace.
        #expect(!html.replacing("http://www.w3.org/2000/svg", with: "").contains("http"))
        #expect(!html.contains("url(") && !html.contains("@import"))
        #expect(html.matches(of: /(src|href)="([^"]*)"/).allSatisfy { $0.2.hasPrefix("#") || $0.2 == "data:," })
        let pictures = html.matches(of: /<svg id="[^"]*"[^>]*>/)
        #expect(pictures.count > 10)
        #expect(pictures.allSatisfy { $0.0.contains(#/ role="img" aria-label="[^"]{20,}"/#) })
        // Each name is used once.
        let names = html.matches(of: #/ id="([^"]*)"/#).map { String($0.1) }
        #expect(Set(names).count == names.count)
    }

    @Test("without gnuplot says so and keeps its tables and its explorer")
    func withoutGnuplot() throws {
        let run = try ReportedRun.standard.get()
        #expect(Gnuplot(ProgramOnPath("gnuplot", searching: "/nowhere:")) == nil)
        let page = ReportPage(run.report, gnuplot: nil)
        #expect(page.missingPictures?.contains("gnuplot was not found") == true)
        #expect(page.html.contains("Gnuplot was not found"))
        #expect(!page.html.contains("<figure"))
        #expect(page.html.contains("<table>") && page.html.contains("explorer-slider"))
        #expect(try checkNumbers(page, of: run) > 150)
    }

    @Test("says what a gnuplot that fails had to say")
    func failingGnuplot() throws {
        let folder = try TemporaryFolder()
        let program = try folder.write("#!/bin/sh\necho broken library >&2\nexit 3\n", as: "gnuplot")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let gnuplot = try #require(Gnuplot(ProgramOnPath("gnuplot", searching: folder.path)))
        let page = ReportPage(try ReportedRun.standard.get().report, gnuplot: gnuplot)
        #expect(page.missingPictures == "gnuplot could not draw the pictures: gnuplot ended with 3: broken library")
        #expect(!page.html.contains("<figure") && page.html.contains("broken library"))
    }

    @Test("takes nothing that a recipe says for markup or for a command")
    func hostileNames() throws {
        let run = try ReportedRun(name: #"'</title><script>alert(1)</script> `touch /tmp/x` "x"'"#)
        let html = ReportPage(run.report).html
        #expect(!html.contains("<script>alert"))
        #expect(html.contains("&lt;script&gt;alert(1)"))
    }

    @Test("is made again from the files to the same bytes")
    func again() throws {
        let run = try ReportedRun.standard.get()
        #expect(ReportPage(run.report).html == ReportPage(try RunReport(reading: run.folder)).html)
    }

    @Test("warns of a certify split that was used before, and says what that means")
    func overuse() throws {
        let html = ReportPage(try ReportedRun(usage: .init(uses: 2, otherDraws: 1)).report).html
        #expect(
            html.contains(
                "This certify split has been used by 2 different runs; the guarantee holds for the first only"))
        #expect(html.contains("1 other draws of certify samples"))
        // The verdict is not green then.
        #expect(html.contains("<div class=\"verdict open\">"))
        #expect(html.contains("these certify samples have been used before"))
        #expect(ReportPage(try ReportedRun.standard.get().report).html.contains("<div class=\"verdict\">"))
    }

    @Test("is not made from files of different runs, or from a record of another version")
    func mixedFiles() throws {
        let (run, other) = (try ReportedRun(), try ReportedRun(extra: "rule: { kind: patience }"))
        try FileManager.default.removeItem(atPath: run.folder.evaluation)
        #expect { try RunReport(reading: run.folder) } throws: { "\($0)".contains("evaluation.json") }
        let text = try String(contentsOfFile: other.folder.evaluation, encoding: .utf8) + " "
        try text.write(toFile: run.folder.evaluation, atomically: true, encoding: .utf8)
        #expect { try RunReport(reading: run.folder) } throws: {
            "\($0)".contains("evaluation.json: a file of another run")
        }
        let record = try String(contentsOfFile: other.folder.record, encoding: .utf8)
        try record.replacing("\"version\" : 1", with: "\"version\" : 2")
            .write(toFile: other.folder.record, atomically: true, encoding: .utf8)
        #expect { try RunReport(reading: other.folder) } throws: { "\($0)".contains("beem-report, 2; expected") }
    }
}

@Suite("Several runs side by side")
struct ComparisonTests {
    @Test("show what each certified, what differs in the recipes, and numbers that stand in the files")
    func sideBySide() throws {
        let first = try ReportedRun.standard.get()
        let second = try ReportedRun(extra: "rule: { kind: beem, weights: cost }", usage: .init(uses: 2, otherDraws: 0))
        let comparison = RunComparison([first.report, second.report])
        #expect(comparison.differences.map(\.key) == ["rule.kind", "rule.weights"])
        #expect(comparison.text.contains("BEEM-A") && comparison.text.contains("BEEM-C"))
        #expect(
            comparison.warnings.count == 1 && comparison.warnings[0].contains("the guarantee holds for the first only"))
        let page = ComparisonPage(comparison)
        #expect(page.missingPictures == nil && page.html.matches(of: /<figure>/).count == 3)
        var checked = 0
        for element in CitedElement.all(in: page.html) {
            let json = try JSONValue(reading: element.file)
            let found = try #require(json[pointer: element.pointer]?.number)
            #expect(element.text == element.style.text(found))
            checked += 1
        }
        #expect(checked > 20)
    }

    @Test("warn where the samples are not the same")
    func otherSamples() throws {
        var cache = SyntheticCache()
        cache.seed = 2
        let (first, second) = (try ReportedRun.standard.get(), try ReportedRun(cache))
        #expect(RunComparison([first.report, second.report]).warnings[0].contains("on different data"))
        #expect(RunComparison([first.report, first.report]).warnings.isEmpty)
        #expect(RunComparison([first.report, first.report]).text.contains("The recipes say the same."))
    }
}
