import ArgumentParser
import Foundation
import Reports

/// `beem doctor`: does everything that beem needs work here?
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check that everything beem needs works on this machine, and say what to do where it does not.",
        discussion: """
            Example: beem doctor

            Exit code 1 when something that is needed does not work. gnuplot is not needed: reports then have no pictures.
            """)

    @OptionGroup var printing: PrintingOptions

    func run() throws {
        let report = Examination.report()
        try printing.print(report.text, json: report)
        guard report.isReady else { throw ExitCode(1) }
        let demo = "recipes/movie-reviews/recipe.yaml"
        if FileManager.default.fileExists(atPath: demo) { printing.suggest(NextCommand("run", demo)) }
    }
}
