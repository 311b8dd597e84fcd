import Foundation

/// The program that draws the plots of a report.
public struct Gnuplot: Sendable {
    /// Where it is.
    public let path: String

    /// Takes a `gnuplot` that was found; nil when there is none.
    public init?(_ program: ProgramOnPath? = ProgramOnPath("gnuplot")) {
        guard let program else { return nil }
        path = program.path
    }

    /// Draws figures, all in one run.
    ///
    /// - Returns: a picture for each figure, in their order; where the program fails, what it said.
    func draw(_ figures: [Figure]) -> Result<[PlotPicture], DrawingError> {
        do {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
                "beem-plots-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            // Names of its own choosing: nothing that a recipe says is part of a path or a command.
            var script = ""
            for (index, figure) in figures.enumerated() {
                script += PlotScript.preamble(figure.size) + "set output '\(index).svg'\n" + figure.commands
                script += "unset output\n"
            }
            try Data(script.utf8).write(to: folder.appendingPathComponent("figures.gp"))
            try run(in: folder)
            return .success(
                try figures.enumerated().map { index, figure in
                    PlotPicture(
                        try String(contentsOf: folder.appendingPathComponent("\(index).svg"), encoding: .utf8),
                        of: figure)
                })
        } catch let error as DrawingError {
            return .failure(error)
        } catch {
            return .failure(DrawingError(message: error.localizedDescription))
        }
    }

    /// Why there are no pictures.
    struct DrawingError: Error, Equatable {
        var message: String
    }

    private func run(in folder: URL) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        // Without settings of whoever runs it.
        process.arguments = ["--default-settings", "figures.gp"]
        process.currentDirectoryURL = folder
        // A file instead of a pipe: a program that says much does not wait for a reader.
        let messages = folder.appendingPathComponent("messages")
        try Data().write(to: messages)
        process.standardError = try FileHandle(forWritingTo: messages)
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let said = (try? String(contentsOf: messages, encoding: .utf8)) ?? ""
        guard process.terminationStatus == 0, said.isEmpty else {
            let firstLines = said.split(separator: "\n").prefix(6).joined(separator: " ")
            throw DrawingError(message: "gnuplot ended with \(process.terminationStatus): \(firstLines)")
        }
    }
}
