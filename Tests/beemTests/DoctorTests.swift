import Foundation
import Reports
import TestSupport
import Testing

@testable import beem

@Suite("doctor")
struct DoctorTests {
    @Test("finds that all works where the tests run, in a line for each thing")
    func text() throws {
        let command = try Command.beem("doctor")
        #expect(command.exitCode == 0, "\(command.output)\(command.errors)")
        let lines = command.output.split(separator: "\n")
        for name in [
            "beem", "swift", "system", "processor", "threads", "OpenBLAS", "kernels", "own kernels",
            "product of matrices", "SHA-256", "gnuplot", "current folder", "temporary folder",
        ] {
            let line = try #require(lines.first { $0.hasPrefix("  \(name)  ") }, "\(name)")
            #expect(line.hasSuffix("  ok") || line.contains("  warning: "), "\(line)")
        }
        #expect(command.output.contains("0.1.0") && command.output.contains("READY: "))
        #expect(try Command.beem("doctor", "--quiet").output.isEmpty)
    }

    @Test("proposes the demonstration where its recipe is at hand")
    func next() throws {
        let folder = try TemporaryFolder()
        let line = "cd '\(folder.path)' && exec \"$0\" doctor"
        #expect(try Command("/bin/sh", ["-c", line, Command.beemPath]).errors.isEmpty)
        let recipe = "recipes/movie-reviews/recipe.yaml"
        try FileManager.default.createDirectory(
            atPath: folder.file("recipes/movie-reviews"), withIntermediateDirectories: true)
        try folder.write("", as: recipe)
        #expect(try Command("/bin/sh", ["-c", line, Command.beemPath]).errors == "Next: beem run \(recipe)\n")
    }

    @Test("tells the same in JSON")
    func json() throws {
        let command = try Command.beem("doctor", "--json")
        let object = try jsonObject(command)
        #expect(object["ready"] as? Bool == true && command.errors.isEmpty)
        let checks = try #require(object["checks"] as? [[String: String]])
        #expect(checks.count == 13)
        #expect(checks.allSatisfy { Set($0.keys).isSuperset(of: ["name", "found", "state"]) })
        #expect(checks.allSatisfy { ($0["advice"] == nil) == ($0["state"] == "ok") })
    }

    @Test(
        "says which of its own kernels are in use, that BEEM_KERNELS rules better ones out, and where that names none")
    func ownKernels() throws {
        func line(_ name: String) throws -> String {
            let command = try Command(Command.beemPath, ["doctor"], environment: ["BEEM_KERNELS": name])
            return try String(#require(command.output.split(separator: "\n").first { $0.hasPrefix("  own kernels  ") }))
        }
        let portable = try line("portable").split(separator: " ")
        #expect(portable.suffix(2) == ["portable", "ok"])
        #expect(try line("AVX2").contains("AVX-512") == false)
        #expect(try line("AVX3").contains("warning: set it to one of AMX, AVX-512, AVX2, portable, or unset it"))
    }

    @Test("goes on without gnuplot, and says what to install")
    func withoutGnuplot() throws {
        let empty = try TemporaryFolder()
        let command = try Command(Command.beemPath, ["doctor"], environment: ["PATH": empty.path])
        #expect(command.exitCode == 0)
        #expect(command.output.contains("warning: reports are made without pictures; install gnuplot-nox"))
        #expect(command.output.contains("needed to build beem only"))
        #expect(command.output.contains("READY: all that beem needs works; one warning."))
    }

    @Test("passes over a program that fails, and takes the first line of one that does not")
    func programs() throws {
        let folder = try TemporaryFolder()
        for (name, text) in [("good", "echo one; echo two"), ("bad", "echo one; exit 3"), ("silent", "true")] {
            let path = try folder.write("#!/bin/sh\n\(text)\n", as: name)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        func line(_ name: String) -> String? { ProgramOnPath(name, searching: "/none:\(folder.path)")?.firstLine() }
        #expect(line("good") == "one")
        #expect(line("bad") == nil && line("silent") == nil && line("none") == nil)
        #expect(Examination.gnuplot(ProgramOnPath("bad", searching: folder.path)).state == .warning)
    }

    @Test(
        "ends with exit code 1 where nothing can be written",
        .enabled(if: FileManager.default.fileExists(atPath: "/proc/self")))
    func unwritable() throws {
        let command = try Command("/bin/sh", ["-c", "cd /proc && exec \"$0\" doctor", Command.beemPath])
        #expect(command.exitCode == 1)
        #expect(command.output.contains("error: go to a folder that you may write to"))
        #expect(command.output.contains("NOT READY: one thing does not work; see above."))
        let temporary = try Command(Command.beemPath, ["doctor"], environment: ["TMPDIR": "/proc"])
        #expect(temporary.exitCode == 0 && temporary.output.contains("warning: let TMPDIR name a folder"))
    }

    @Test("warns of little room, leaves no file behind, and knows sizes")
    func space() throws {
        let folder = try TemporaryFolder()
        let space = FolderSpace(folder.path)
        #expect(space.problem == nil && space.free != nil)
        #expect(try folder.contents().isEmpty)
        #expect(FolderSpace(folder.file("none")).check("x", isNeeded: true, advice: "make it").state == .error)
        #expect(FolderSpace.size(700 << 20) == "700 MiB" && FolderSpace.size(12_595 << 20) == "12.3 GiB")
    }
}
