import Foundation
import TestSupport
import Testing

@Suite("The command")
struct CommandTests {
    /// A folder with a recipe and its features.
    private func recipe(extra: String = "", cache: SyntheticCache = SyntheticCache()) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try cache.write(to: folder.file("features.safetensors"))
        try folder.write(
            """
            name: synthetic
            features: features.safetensors
            splits: { train: 0.4, tune: 0.2, certify: 0.25, test: 0.15 }
            seed: 3
            output: out
            \(extra)
            """, as: "recipe.yaml")
        return folder
    }

    private func bytes(_ folder: TemporaryFolder, _ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: folder.file(name)))
    }

    private let files = [
        "evaluation.json", "frontier.csv", "heads.safetensors", "policy.json", "report.html", "report.json",
        "training.csv",
    ]

    @Test("run writes the files it should and nothing else, the same bytes each time, and says what is certified")
    func run() throws {
        let folder = try recipe()
        let first = try Command.beem("run", folder.file("recipe.yaml"))
        #expect(first.exitCode == 0, "\(first.errors)")
        #expect(first.output.contains("CERTIFIED: with 95 % confidence"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted() == files)
        let before = try files.map { try bytes(folder, "out/\($0)") }
        let second = try Command.beem("run", folder.file("recipe.yaml"), "--output", folder.file("again"), "--quiet")
        #expect(second.exitCode == 0)
        #expect(second.output.isEmpty && second.errors.isEmpty)
        #expect(try files.map { try bytes(folder, "again/\($0)") } == before)
    }

    @Test("run in steps gives the same files as run at once")
    func steps() throws {
        let folder = try recipe()
        let path = folder.file("recipe.yaml")
        #expect(try Command.beem("run", path, "--output", folder.file("whole")).exitCode == 0)
        for step in ["train", "evaluate", "weights", "calibrate"] {
            let command = try Command.beem(step, path)
            #expect(command.exitCode == 0, "\(step): \(command.errors)")
            #expect(!command.output.isEmpty)
        }
        for name in files { #expect(try bytes(folder, "out/\(name)") == bytes(folder, "whole/\(name)")) }
    }

    @Test("with --json prints one object with the keys that the design names")
    func json() throws {
        let folder = try recipe()
        let command = try Command.beem("run", folder.file("recipe.yaml"), "--json")
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any])
        #expect(Set(object.keys) == ["tune", "certify", "test", "certificate", "tradeOff"])
        let lines = try #require(object["tradeOff"] as? [[String: Double]])
        #expect(lines.allSatisfy { Set($0.keys) == ["allowedGap", "speedUp", "certified"] })
        let test = try #require(object["test"] as? [String: Double])
        #expect(Set(test.keys) == ["finalError", "error", "speedUp"])
        #expect(command.errors.isEmpty)
    }

    @Test("apply writes a line for each sample, as CSV and as JSON Lines with the same numbers")
    func apply() throws {
        let folder = try recipe()
        #expect(try Command.beem("run", folder.file("recipe.yaml")).exitCode == 0)
        let arguments = (folder.file("out/policy.json"), folder.file("features.safetensors"))
        let csv = try Command.beem("apply", arguments.0, arguments.1, "--split", "test")
        let lines = csv.output.split(separator: "\n")
        #expect(lines.first == "sample,exit,label,score,cost")
        #expect(lines.count == 181)
        let jsonl = try Command.beem("apply", arguments.0, arguments.1, "--split", "test", "--format", "jsonl")
        for (line, object) in zip(lines.dropFirst(), jsonl.output.split(separator: "\n")) {
            let values = try JSONDecoder().decode([String: Double].self, from: Data(object.utf8))
            let cells = line.split(separator: ",").compactMap { Double($0) }
            #expect(["sample", "exit", "label", "score", "cost"].map { values[$0] } == cells)
        }
    }

    @Test("fine-tunes from saved heads, which are at the optimum already")
    func finetune() throws {
        let folder = try recipe()
        let path = folder.file("recipe.yaml")
        #expect(try Command.beem("train", path).exitCode == 0)
        let again = try Command.beem(
            "train", path, "--init", folder.file("out/heads.safetensors"), "--output", folder.file("tuned"))
        #expect(again.exitCode == 0, "\(again.errors)")
        let evaluations = again.output.split(separator: "\n").dropFirst(2).compactMap { line in
            line.split(separator: " ").last.flatMap { Int($0) }
        }
        #expect(evaluations.count == 4)
    }

    @Test("verify confirms or leaves undecided what is true, with exit code 0")
    func verify() throws {
        let folder = try recipe()
        #expect(try Command.beem("run", folder.file("recipe.yaml")).exitCode == 0)
        let command = try Command.beem(
            "verify", folder.file("out/policy.json"), folder.file("features.safetensors"), "--split", "test")
        #expect(command.exitCode == 0)
        #expect(command.output.contains("CONFIRMED") || command.output.contains("UNDECIDED"))
    }

    @Test("verify takes groups of several samples for what they are, and refuses larger ones than declared")
    func verifyGroups() throws {
        let folder = try recipe()
        #expect(try Command.beem("run", folder.file("recipe.yaml")).exitCode == 0)
        var grouped = SyntheticCache()
        grouped.groupSize = 4
        try grouped.write(to: folder.file("grouped.safetensors"))
        let arguments = (folder.file("out/policy.json"), folder.file("grouped.safetensors"))
        let independent = try Command.beem("verify", arguments.0, folder.file("features.safetensors"), "--json")
        let command = try Command.beem("verify", arguments.0, arguments.1, "--json")
        #expect(command.exitCode == 0, "\(command.errors)")
        func object(_ command: Command) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any])
        }
        let (left, right) = (try object(command), try object(independent))
        #expect(left["gapInterval"] == nil && (right["gapInterval"] as? [Double])?.count == 2)
        #expect(left["harmfulFlips"] as? Int == right["harmfulFlips"] as? Int)
        #expect(try #require(left["pValue"] as? Double) > #require(right["pValue"] as? Double))
        let smaller = try Command.beem("verify", arguments.0, arguments.1, "--max-group-size", "3")
        #expect(smaller.exitCode == 2)
        #expect(smaller.output.isEmpty)
        #expect(smaller.errors.contains("group 0: 4 samples; expected at most 3"))
    }

    @Test("ends with exit code 1 where a certificate is required and there is none")
    func requireCertificate() throws {
        var cache = SyntheticCache()
        cache.exits = 2
        cache.corruption = { features in features[0] = features[0].map { _ in 0.5 } }
        let folder = try recipe(cache: cache)
        let path = folder.file("recipe.yaml")
        let lenient = try Command.beem("run", path)
        #expect(lenient.exitCode == 0)
        #expect(lenient.output.contains("NOT CERTIFIED"))
        #expect(lenient.errors.contains("warning: nothing could be certified"))
        #expect(try Command.beem("run", path, "--require-certificate").exitCode == 1)
        let apply = try Command.beem("apply", folder.file("out/policy.json"), folder.file("features.safetensors"))
        #expect(apply.errors.contains("has no certificate"))
    }

    @Test(
        "ends with exit code 2 and one clear line for bad input, and leaves what was there",
        arguments: [
            ("rule: { knd: beem }", "rule.knd"), ("splits2: 1", "splits2"), ("cost: [1, 2]", "cost"),
            ("features: none.safetensors", "recipe.yaml"),
        ])
    func badRecipe(extra: String, named: String) throws {
        let folder = try recipe()
        #expect(try Command.beem("run", folder.file("recipe.yaml")).exitCode == 0)
        let before = try files.map { try bytes(folder, "out/\($0)") }
        let text = try String(contentsOfFile: folder.file("recipe.yaml"), encoding: .utf8)
        try folder.write(text + extra + "\n", as: "recipe.yaml")
        let command = try Command.beem("run", folder.file("recipe.yaml"))
        #expect(command.exitCode == 2)
        #expect(command.output.isEmpty)
        #expect(command.errors.hasPrefix("beem: error: "))
        #expect(command.errors.split(separator: "\n").count == 1)
        #expect(command.errors.contains(named))
        #expect(try files.map { try bytes(folder, "out/\($0)") } == before)
    }

    @Test("ends with exit code 2 for a truncated cache")
    func truncated() throws {
        let folder = try recipe()
        let whole = try bytes(folder, "features.safetensors")
        try folder.write(whole.prefix(whole.count - 100), as: "features.safetensors")
        let command = try Command.beem("run", folder.file("recipe.yaml"))
        #expect(command.exitCode == 2)
        #expect(command.errors.contains("features.safetensors"))
        #expect(!FileManager.default.fileExists(atPath: folder.file("out")))
    }

    @Test("ends with exit code 2 for an output folder that cannot be made")
    func unwritable() throws {
        let folder = try recipe()
        let command = try Command.beem("run", folder.file("recipe.yaml"), "--output", folder.file("recipe.yaml") + "/x")
        #expect(command.exitCode == 2)
        #expect(command.errors.contains("recipe.yaml/x"))
        #expect(command.errors.contains("--output"))
    }

    @Test(
        "ends with exit code 2 when standard output is on a full disk",
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func fullDisk() throws {
        let folder = try recipe()
        #expect(try Command.beem("run", folder.file("recipe.yaml")).exitCode == 0)
        let command = try Command(
            "/bin/sh",
            [
                "-c", "\"$0\" apply \"$1\" \"$2\" > /dev/full", Command.beemPath, folder.file("out/policy.json"),
                folder.file("features.safetensors"),
            ])
        #expect(command.exitCode == 2)
        #expect(command.errors.hasPrefix("beem: error: standard output: "))
    }

    @Test("ends with exit code 64 for wrong usage")
    func usage() throws {
        #expect(try Command.beem("run").exitCode == 64)
        #expect(try Command.beem("dance").exitCode == 64)
        #expect(try Command.beem("--help").exitCode == 0)
        #expect(try Command.beem("--version").output == "0.1.0\n")
    }

    @Test("compresses, inspects and splits caches")
    func features() throws {
        let folder = try recipe()
        let full = folder.file("features.safetensors")
        let split = try Command.beem(
            "features", "split", full, "--train", "0.5", "--tune", "0.2", "--certify", "0.2", "--test", "0.1",
            "--output",
            folder.file("split.safetensors"))
        #expect(split.exitCode == 0, "\(split.errors)")
        let compress = try Command.beem(
            "features", "compress", folder.file("split.safetensors"), "--components", "4", "--output",
            folder.file("small.safetensors"))
        #expect(compress.exitCode == 0, "\(compress.errors)")
        let inspect = try Command.beem("features", "inspect", folder.file("small.safetensors"))
        #expect(inspect.output.contains("1,200 samples"))
        #expect(inspect.output.contains("train 600, tune 240, certify 240, test 120"))
        let withoutTrain = try Command.beem(
            "features", "compress", full, "--components", "4", "--output", folder.file("none.safetensors"))
        #expect(withoutTrain.exitCode == 2)
        #expect(withoutTrain.errors.contains("features split"))
    }
}
