import ArgumentParser
import Calibration
import Foundation
import Reports
import Safetensors

/// `beem report`: the report of a run from its files, or several runs side by side.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Make the report of a run again from its files, or put several runs side by side.",
        discussion: """
            Example: beem report runs/movie-reviews
            Example: beem report runs/beem-a runs/beem-c --output runs/comparison.html

            A run is its output folder, or its recipe. Data are not read and certify is not looked at: everything is in the \
            files of the folder.
            """)

    @Argument(help: "Output folders of runs, or their recipes.", completion: .directory)
    var runs: [String]
    @Option(
        help: "The file to write instead of report.html in the run's folder, or comparison.html beside the first.",
        completion: .file(extensions: ["html"]))
    var output: String?
    @OptionGroup var printing: PrintingOptions

    func run() throws {
        let reports = try runs.map { try RunReport(reading: folder($0)) }
        guard reports.count > 1 else { return try writeOne(reports[0]) }
        let comparison = RunComparison(reports)
        let page = ComparisonPage(comparison)
        let file =
            output
            ?? URL(fileURLWithPath: reports[0].folder.path).standardizedFileURL.deletingLastPathComponent()
            .appendingPathComponent("comparison.html").relativePath
        try page.write(to: file)
        try printing.print(comparison.text, json: comparison.json)
        comparison.warnings.forEach(PrintingOptions.warn)
        printing.note("Wrote \(file).")
    }

    /// What `--json` prints of one report.
    private struct Written: Encodable {
        var report: String
        var bytes: Int
    }

    private func writeOne(_ report: RunReport) throws {
        let page = ReportPage(report)
        let file = output ?? report.folder.report
        try page.write(to: file)
        try printing.print("", json: Written(report: file, bytes: page.html.utf8.count))
        printing.note("Wrote \(file).")
    }

    private func folder(_ run: String) throws(InputError) -> OutputFolder {
        let isRecipe = ["yaml", "yml"].contains(URL(fileURLWithPath: run).pathExtension)
        return OutputFolder(isRecipe ? try Recipe(reading: run).output : run)
    }
}
