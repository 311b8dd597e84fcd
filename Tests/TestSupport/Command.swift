import Foundation

/// A program that ran to its end.
public struct Command: Sendable {
    /// What it ended with.
    public let exitCode: Int32
    /// What it wrote to standard output.
    public let output: String
    /// What it wrote to standard error.
    public let errors: String

    /// Runs a program with arguments and waits for it.
    public init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        // Files instead of pipes: a program that writes much does not wait for a reader.
        let folder = try TemporaryFolder()
        let files = try [folder.write("", as: "output"), folder.write("", as: "errors")].map {
            try FileHandle(forWritingTo: URL(fileURLWithPath: $0))
        }
        process.standardOutput = files[0]
        process.standardError = files[1]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        exitCode = process.terminationStatus
        output = try String(contentsOfFile: folder.file("output"), encoding: .utf8)
        errors = try String(contentsOfFile: folder.file("errors"), encoding: .utf8)
    }

    /// The `beem` that was built with the tests: they run inside a bundle that lies beside the products, or beside them.
    public static var beemPath: String {
        let place = Bundle.main.bundleURL
        let products = place.pathExtension == "xctest" ? place.deletingLastPathComponent() : place
        return products.appendingPathComponent("beem").path
    }

    /// Runs the `beem` that was built with the tests.
    public static func beem(_ arguments: String...) throws -> Command { try Command(beemPath, arguments) }

    /// Python, when it is there with NumPy.
    public static let pythonWithNumPy = python(importing: "numpy")
    /// Python, when it is there with PyTorch and the safetensors library.
    public static let pythonWithTorch = python(importing: "torch, safetensors")
    /// Python, when it is there with a validator of JSON Schema.
    public static let pythonWithJSONSchema = python(importing: "jsonschema")

    /// Debian's Python, when it is there with Selenium.
    public static let pythonWithSelenium: String? = {
        let python = "/usr/bin/python3"
        guard FileManager.default.isExecutableFile(atPath: python) else { return nil }
        return (try? Command(python, ["-c", "import selenium"]))?.exitCode == 0 ? python : nil
    }()

    /// The Python that the variable `BEEM_PYTHON` names, or else the first on the path that can import something.
    private static func python(importing modules: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        let candidates =
            environment["BEEM_PYTHON"].map { [$0] }
            ?? (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/python3" }
        return candidates.first { python in
            FileManager.default.isExecutableFile(atPath: python)
                && (try? Command(python, ["-c", "import \(modules)"]))?.exitCode == 0
        }
    }
}
