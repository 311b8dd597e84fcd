import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("What commands print")
struct PrintingTests {
    /// A folder where everything was run, and features with splits stored beside it.
    private static func place() throws -> CommandFolder {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        let split = try Command.beem(
            "features", "split", place.features, "--train", "0.5", "--tune", "0.2", "--certify", "0.2", "--test", "0.1",
            "--output", place.folder.file("split.safetensors"), "--quiet")
        #expect(split.exitCode == 0)
        return place
    }

    /// Every command, on files of the folder.
    private static func commands(_ place: CommandFolder) throws -> [[String]] {
        let file = place.folder.file
        let audit = try place.folder.write(#"{"label": "class 0", "finalLabel": "class 0"}"# + "\n", as: "audit.jsonl")
        return [
            ["run", place.recipe], ["train", place.recipe], ["evaluate", place.recipe], ["weights", place.recipe],
            ["calibrate", place.recipe], ["frontier", place.recipe], ["compare", place.recipe],
            ["study", place.recipe, "--repeats", "2", "--only", "static"],
            ["certify", place.policy, place.features, "--split", "test", "--output", file("out/certified.json")],
            ["verify", place.policy, place.features, "--split", "test"],
            ["apply", place.policy, place.features, "--split", "test"],
            ["apply", place.policy, place.features, "--output", file("decisions.csv")],
            ["plan", "--harmful", "0.02", "--helpful", "0.03"], ["monitor", place.policy, audit],
            ["export", place.policy, place.features, "--output", file("heads.safetensors")],
            ["features", "inspect", place.features],
            [
                "features", "compress", file("split.safetensors"), "--components", "4", "--output",
                file("4.safetensors"),
            ],
            [
                "features", "split", place.features, "--train", "0.5", "--tune", "0.2", "--certify", "0.2", "--test",
                "0.1", "--output", file("again.safetensors"),
            ],
            [
                "features", "shard", place.features, "--shards", "2", "--output", file("cut.safetensors.index.json"),
            ],
            [
                "features", "join", file("cut-00002-of-00002.safetensors"), file("cut-00001-of-00002.safetensors"),
                "--output", file("joined.safetensors.index.json"),
            ],
            ["report", file("out")], ["doctor"],
        ]
    }

    @Test("is, with --json, one value on standard output and no note on standard error")
    func json() throws {
        let place = try Self.place()
        for arguments in try Self.commands(place) {
            let command = try Command(Command.beemPath, arguments + ["--json"])
            #expect([0, 1].contains(command.exitCode), "\(arguments) \(command.errors)")
            let notes = command.errors.split(separator: "\n").filter { !$0.hasPrefix("beem: warning: ") }
            #expect(notes.isEmpty, "\(arguments)")
            #expect(throws: Never.self, "\(arguments) \(command.output)") {
                try JSONSerialization.jsonObject(with: Data(command.output.utf8))
            }
            #expect(command.output.hasSuffix("}\n") || command.output.hasSuffix("]\n"))
        }
    }

    @Test("is nothing with --quiet but warnings, and decisions that were asked for")
    func quiet() throws {
        let place = try Self.place()
        for arguments in try Self.commands(place) {
            let command = try Command(Command.beemPath, arguments + ["--quiet"])
            #expect(
                command.errors.split(separator: "\n").allSatisfy { $0.hasPrefix("beem: warning: ") }, "\(arguments)")
            let isData = arguments[0] == "apply" && !arguments.contains("--output")
            #expect(command.output.isEmpty != isData, "\(arguments)")
        }
    }

    @Test("ends in a next command that works as it stands in the same folder")
    func next() throws {
        let place = try Self.place()
        let shell = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: shell.file("beem"), withDestinationPath: Command.beemPath)
        var proposed: Set<String> = []
        for arguments in try Self.commands(place) {
            let command = try Command(
                "/bin/sh", ["-c", "cd '\(shell.path)' && exec \"$0\" \"$@\"", Command.beemPath] + arguments)
            let lines = command.errors.split(separator: "\n").filter { $0.hasPrefix("Next: ") }
            #expect(lines.count <= 1, "\(arguments)")
            guard let line = lines.first?.dropFirst("Next: ".count) else { continue }
            proposed.insert(arguments.prefix(arguments[0] == "features" ? 2 : 1).joined(separator: " "))
            let next = try Command("/bin/sh", ["-c", "cd '\(shell.path)' && PATH=\"$PWD:$PATH\" && \(line)"])
            #expect(next.exitCode == 0, "\(arguments): \(line): \(next.errors)")
        }
        #expect(
            proposed.isSuperset(of: [
                "run", "train", "evaluate", "weights", "calibrate", "frontier", "compare", "study", "certify", "verify",
                "apply", "plan", "export", "features compress", "features split", "features shard", "features join",
            ]), "\(proposed.sorted())")
    }

    @Test("by apply in JSON is an array of what JSON Lines has, or what was written")
    func apply() throws {
        let place = try Self.place()
        let arguments = ["apply", place.policy, place.features, "--split", "test"]
        let lines = try Command(Command.beemPath, arguments + ["--format", "jsonl"]).output.split(separator: "\n")
        let array = try Command(Command.beemPath, arguments + ["--json"]).output
        let objects = try JSONDecoder().decode([[String: Double]].self, from: Data(array.utf8))
        #expect(try objects == lines.map { try JSONDecoder().decode([String: Double].self, from: Data($0.utf8)) })

        let file = place.folder.file("decisions.jsonl")
        let written = try jsonObject(
            Command(Command.beemPath, arguments + ["--json", "--format", "jsonl", "--output", file]))
        #expect(written["file"] as? String == file && written["format"] as? String == "jsonl")
        #expect(written["samples"] as? Int == lines.count)
        let leaving = try #require(written["leaving"] as? [Int])
        #expect(leaving == (0..<4).map { exit in objects.count { $0["exit"] == Double(exit) } })
        #expect(try place.text(file) == lines.map { $0 + "\n" }.joined())
    }

    @Test("by export in JSON is the file with its checksum")
    func export() throws {
        let place = try Self.place()
        let file = place.folder.file("heads.safetensors")
        let object = try jsonObject(
            Command.beem("export", place.policy, place.features, "--output", file, "--json"))
        #expect(object["file"] as? String == file && object["widths"] as? [Int] == [6, 6, 6, 6])
        // Not of full width, so these are the policy's own heads.
        let policy = try Policy(reading: place.policy)
        #expect(object["sha256"] as? String == policy.heads?.sha256)
    }
}
