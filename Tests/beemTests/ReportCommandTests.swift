import Foundation
import TestSupport
import Testing

@Suite("report")
struct ReportCommandTests {
    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    @Test("makes the same report from the files as run did, from the folder and from the recipe")
    func again() throws {
        let folder = try CommandFolder()
        #expect(try Command.beem("run", folder.recipe).exitCode == 0)
        let report = folder.folder.file("out/report.html")
        let before = try bytes(report)
        try FileManager.default.removeItem(atPath: report)
        // Data are not read again.
        try FileManager.default.removeItem(atPath: folder.features)
        for run in [folder.folder.file("out"), folder.recipe] {
            let command = try Command.beem("report", run)
            #expect(command.exitCode == 0 && command.output.isEmpty, "\(command.errors)")
            #expect(command.errors == "Wrote \(report).\n")
            #expect(try bytes(report) == before)
        }
        #expect(try folder.logLines().count == 1)
        let other = try Command.beem("report", folder.recipe, "--output", folder.folder.file("a.html"), "--json")
        #expect(try jsonObject(other)["report"] as? String == folder.folder.file("a.html"))
        #expect(try bytes(folder.folder.file("a.html")) == before)
    }

    @Test("puts a second rule beside the first, and says that the certify split was used before and what that means")
    func secondRule() throws {
        let folder = try CommandFolder()
        #expect(try Command.beem("run", folder.recipe).exitCode == 0)
        try folder.writeRecipe(extra: "rule: { kind: beem, weights: cost }")
        let second = try Command.beem("run", folder.recipe, "--output", folder.folder.file("beem-c"))
        #expect(second.exitCode == 0)
        let warning = "this certify split has been used by 2 different runs; the guarantee holds for the first only"
        #expect(second.errors.contains(warning))
        #expect(try folder.text(folder.folder.file("beem-c/report.html")).contains("T" + warning.dropFirst()))
        let command = try Command.beem("report", folder.folder.file("out"), folder.folder.file("beem-c"))
        #expect(command.exitCode == 0)
        #expect(command.output.contains("BEEM-A, memory 1") && command.output.contains("BEEM-C, memory 1"))
        #expect(command.output.contains("rule.weights"))
        #expect(command.errors.contains("the guarantee holds for the first only"))
        #expect(command.errors.hasSuffix("Wrote \(folder.folder.file("comparison.html")).\n"))
        let page = try folder.text(folder.folder.file("comparison.html"))
        #expect(page.contains("2 runs compared") && page.contains("Settings that differ"))
    }

    @Test("says what is missing, and what is from another run")
    func problems() throws {
        let folder = try CommandFolder()
        let nothing = try Command.beem("report", folder.folder.path)
        #expect(nothing.exitCode == 2 && nothing.errors.contains("report.json: cannot be read"))
        #expect(nothing.errors.contains("Name the output folder of `beem run`"))
        #expect(try Command.beem("run", folder.recipe).exitCode == 0)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: folder.policy))
        let mixed = try Command.beem("report", folder.folder.file("out"))
        #expect(mixed.exitCode == 2 && mixed.errors.contains("policy.json: a file of another run"))
        #expect(try Command.beem("report").exitCode == 64)
    }

    @Test("without gnuplot warns, and writes the tables all the same")
    func withoutGnuplot() throws {
        let folder = try CommandFolder()
        let run = try Command(Command.beemPath, ["run", folder.recipe, "--quiet"], environment: ["PATH": "/nowhere"])
        #expect(run.exitCode == 0)
        #expect(run.errors.contains("gnuplot was not found, so there are no pictures; install it"))
        let page = try folder.text(folder.folder.file("out/report.html"))
        #expect(page.contains("<table>") && !page.contains("<figure"))
    }

    @Test(
        "opens in a browser at the width of a desk and of a phone, in light and dark, and its slider moves the numbers",
        .enabled(if: Browser.found != nil), arguments: [true, false])
    func inBrowser(isCertified: Bool) throws {
        struct Seen: Decodable {
            var views: [View]
        }
        struct View: Decodable {
            var width: Int
            var scheme: String
            var overflow: [String]
            var background: String
            var ink: String
            var pictures: Int
            var smallestType: Double
            var wrong: [String]
            var rings: Int
            var console: [String]
        }
        let browser = try #require(Browser.found)
        var cache = SyntheticCache()
        if !isCertified { cache.noise = 30 }
        let folder = try CommandFolder(cache: cache)
        #expect(try Command.beem("run", folder.recipe, "--quiet").exitCode == 0)
        let drive = try Command(
            browser.python,
            [
                Repository.path("Tests/beemTests/Resources/drive_report.py"), browser.chromium, browser.driver,
                folder.folder.file("out/report.html"),
            ])
        #expect(drive.exitCode == 0, "\(drive.errors)")
        let seen = try JSONDecoder().decode(Seen.self, from: Data(drive.output.utf8))
        #expect(seen.views.count == 4)
        for view in seen.views {
            let place = Comment(rawValue: "\(view.width), \(view.scheme)")
            #expect(view.console == [], place)
            #expect(view.overflow == [], place)
            #expect(view.wrong == [], place)
            #expect(view.rings >= 3, place)
            #expect(view.pictures >= 13, place)
            #expect(view.smallestType >= 8, place)
            #expect(view.background == (view.scheme == "dark" ? "rgb(20, 25, 31)" : "rgb(255, 255, 255)"))
        }
        #expect(Set(seen.views.map(\.ink)).count == 2)
    }
}

/// What it takes to drive a browser, where it is installed.
struct Browser {
    let chromium: String
    let driver: String
    let python: String

    static let found: Browser? = {
        let programs = ["/usr/bin/chromium", "/usr/bin/chromedriver"]
        guard programs.allSatisfy(FileManager.default.isExecutableFile), let python = Command.pythonWithSelenium
        else { return nil }
        return Browser(chromium: programs[0], driver: programs[1], python: python)
    }()
}
