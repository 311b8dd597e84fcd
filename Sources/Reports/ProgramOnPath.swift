import Foundation

/// Another program that may be installed.
public struct ProgramOnPath: Sendable {
    /// Where it is.
    public let path: String

    /// Looks for a program; nil where no folder of the path has it.
    public init?(_ name: String, searching folders: String = ProcessInfo.processInfo.environment["PATH"] ?? "") {
        let places = folders.split(separator: ":").map { "\($0)/\(name)" }
        guard let path = places.first(where: FileManager.default.isExecutableFile) else { return nil }
        self.path = path
    }

    /// The first line that the program writes; nil where it writes none, fails, or takes longer than ten seconds.
    public func firstLine(_ arguments: String...) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let timer = DispatchSource.makeTimerSource()
        timer.schedule(deadline: .now() + 10)
        timer.setEventHandler { if process.isRunning { process.terminate() } }
        timer.resume()
        defer { timer.cancel() }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        let line = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).first
        return line.map { $0.trimmingCharacters(in: .whitespaces) }
    }
}
