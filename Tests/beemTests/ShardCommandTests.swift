import Foundation
import TestSupport
import Testing

@testable import beem

@Suite("Caches in shards, by the command")
struct ShardCommandTests {
    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    /// JSON pointers to what differs.
    private func differences(_ left: JSONValue?, _ right: JSONValue?, at place: String = "") -> [String] {
        if case .object(let left) = left, case .object(let right) = right {
            return Set(left.keys).union(right.keys).sorted().flatMap {
                differences(left[$0], right[$0], at: "\(place)/\($0)")
            }
        }
        return left == right ? [] : [place]
    }

    /// A folder with features, their shards, and recipes for both.
    private func place(shards: Int) throws -> (place: CommandFolder, index: String, recipe: String) {
        let place = try CommandFolder()
        let index = place.folder.file("cut.safetensors.index.json")
        let cut = try Command.beem(
            "features", "shard", place.features, "--shards", "\(shards)", "--output", index)
        #expect(cut.exitCode == 0, "\(cut.errors)")
        #expect(cut.output == "\(index): 1,200 samples in \(shards) shards of \(1200 / shards)\n")
        #expect(cut.errors == "Wrote \(index) and its shards.\nNext: beem features inspect \(index)\n")
        let recipe = try place.folder.write(
            place.text(place.recipe).replacing("features.safetensors", with: "cut.safetensors.index.json")
                .replacing("output: out", with: "output: cut"), as: "cut.yaml")
        return (place, index, recipe)
    }

    @Test("give the heads of the one file, to the byte, and its policy but for the digests of what was read")
    func run() throws {
        let (place, index, recipe) = try place(shards: 3)
        for recipe in [place.recipe, recipe] {
            let run = try Command.beem("run", recipe, "--quiet")
            #expect(run.exitCode == 0, "\(run.errors)")
            // The samples are the same, so the second run would count as another use of their certify split.
            try FileManager.default.removeItem(atPath: place.log)
        }
        for name in ["heads.safetensors", "evaluation.json", "frontier.csv", "training.csv"] {
            #expect(try bytes(place.folder.file("out/\(name)")) == bytes(place.folder.file("cut/\(name)")), "\(name)")
        }
        let policies = try ["out", "cut"].map { try JSONValue(reading: place.folder.file("\($0)/policy.json")) }
        #expect(differences(policies[0], policies[1]) == ["/provenance/features/sha256", "/provenance/recipe"])

        let own = try Command.beem("apply", place.policy, place.features, "--split", "test")
        let cut = try Command.beem("apply", place.folder.file("cut/policy.json"), index, "--split", "test")
        #expect(own.exitCode == 0 && cut.exitCode == 0 && own.output == cut.output)
    }

    @Test("are trained, evaluated, inspected, split and compressed as one file is")
    func others() throws {
        let (place, index, recipe) = try place(shards: 4)
        for arguments in [["train", recipe], ["evaluate", recipe]] {
            #expect(try Command(Command.beemPath, arguments).exitCode == 0, "\(arguments)")
        }
        let inspect = try Command.beem("features", "inspect", index)
        #expect(inspect.output.hasPrefix("\(index): 1,200 samples in 4 shards, 1 MiB, every value finite\n"))
        #expect(try jsonObject(Command.beem("features", "inspect", index, "--json"))["rowShards"] as? Int == 4)
        let part = place.folder.file("cut-00003-of-00004.safetensors")
        #expect(try Command.beem("features", "inspect", part).output.hasPrefix("\(part): 300 samples, "))
        for (source, name) in [(place.features, "own"), (index, "cut")] {
            let split = place.folder.file("\(name)-split.safetensors")
            let fractions = ["--train", "0.5", "--tune", "0.2", "--certify", "0.2", "--test", "0.1"]
            let drawn = try Command(
                Command.beemPath, ["features", "split", source] + fractions + ["--output", split])
            #expect(drawn.exitCode == 0, "\(drawn.errors)")
            let compressed = try Command.beem(
                "features", "compress", split, "--components", "4", "--output",
                place.folder.file("\(name)-4.safetensors"))
            #expect(compressed.exitCode == 0, "\(compressed.errors)")
        }
        for name in ["split", "4"] {
            let files = try ["own", "cut"].map { try bytes(place.folder.file("\($0)-\(name).safetensors")) }
            #expect(files[0] == files[1], "\(name)")
        }
    }

    @Test("are joined from parts, which --json tells too")
    func join() throws {
        let (place, index, _) = try place(shards: 3)
        let parts = (1...3).map { place.folder.file("cut-0000\($0)-of-00003.safetensors") }
        let joined = place.folder.file("joined.safetensors.index.json")
        let command = try Command(
            Command.beemPath, ["features", "join"] + parts + ["--output", joined, "--json"])
        #expect(command.exitCode == 0 && command.errors.isEmpty)
        let object = try jsonObject(command)
        #expect(object["path"] as? String == joined && object["sampleCount"] as? Int == 1200)
        let shards = try #require(object["shards"] as? [[String: Any]])
        #expect(shards.map { $0["file"] as? String } == parts && shards.allSatisfy { $0["samples"] as? Int == 400 })
        #expect(try bytes(joined) == bytes(index))
    }

    @Test("that are refused say why, with exit code 1 or 64")
    func mistakes() throws {
        let (place, index, _) = try place(shards: 3)
        let again = try Command.beem("features", "shard", place.features, "--shards", "3", "--output", index)
        #expect(again.exitCode != 0 && again.errors.contains("stands there already"))
        for arguments in [
            ["shard", place.features, "--shards", "0", "--output", index],
            ["shard", place.features, "--shards", "2", "--output", place.folder.file("x.json")],
            ["join", place.features, "--output", place.folder.file("x.safetensors")], ["join", "--output", index],
            [
                "split", place.features, "--tune", "0.2", "--certify", "0.2", "--test", "0.1", "--output",
                place.folder.file("x.safetensors.index.json"),
            ],
        ] {
            let command = try Command(Command.beemPath, ["features"] + arguments)
            #expect(command.exitCode == 64 && command.output.isEmpty, "\(arguments)")
        }
    }
}
