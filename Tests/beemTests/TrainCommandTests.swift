import ExitHeads
import Foundation
import TestSupport
import Testing

@Suite("train")
struct TrainCommandTests {
    private static let hidden = """
        heads: { kind: hidden, width: 8, activation: gelu, dropout: 0.1 }
        training: { epochs: 5, batchSize: 64, learningRate: 0.01, l2: [0, 1e-2] }
        """

    private func data(_ place: CommandFolder, _ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: place.folder.file(name)))
    }

    @Test("writes heads and learning curves and nothing else, the same bytes with a checkpoint to go on from or none")
    func files() throws {
        let place = try CommandFolder(extra: Self.hidden)
        let first = try Command.beem("train", place.recipe)
        #expect(first.exitCode == 0, "\(first.errors)")
        let out = place.folder.file("out")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: out).sorted() == ["heads.safetensors", "training.csv"])
        let lines = try place.text(out + "/training.csv").split(separator: "\n")
        #expect(lines[0] == "exit,l2,pass,train_loss,tune_loss,tune_error,kept")
        #expect(lines.count == 1 + 4 * 2 * 5)
        #expect(lines.dropFirst().allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == 7 })
        let again = try Command.beem("train", place.recipe, "--output", place.folder.file("again"), "--resume")
        #expect(again.exitCode == 0)
        #expect(again.errors.contains("training from the start"))
        for name in ["heads.safetensors", "training.csv"] {
            #expect(try data(place, "again/\(name)") == data(place, "out/\(name)"))
        }
        let heads = try HeadSet(reading: out + "/heads.safetensors").heads
        #expect(heads.allSatisfy { if case .hidden(let head) = $0 { head.hiddenCount == 8 } else { false } })
    }

    @Test("of hidden heads goes on to a policy that is applied, verified and exported")
    func toThePolicy() throws {
        let place = try CommandFolder(guarantee: "allowedGap: 0.02", extra: Self.hidden)
        let run = try Command.beem("run", place.recipe)
        #expect(run.exitCode == 0, "\(run.errors)")
        let apply = try Command.beem(
            "apply", place.policy, place.features, "--split", "test", "--output", place.folder.file("decisions.csv"))
        #expect(apply.exitCode == 0, "\(apply.errors)")
        #expect(try Command.beem("verify", place.policy, place.features, "--split", "test").exitCode == 0)
        let export = try Command.beem(
            "export", place.policy, place.features, "--output", place.folder.file("heads.safetensors"))
        #expect(export.exitCode == 0)
        #expect(try data(place, "heads.safetensors") == data(place, "out/heads.safetensors"))
    }

    /// Some seconds of training.
    private static let long = "training: { optimizer: adamw, epochs: 1500, batchSize: 16, l2: [1e-3, 1e-2] }"

    /// Starts a training and interrupts it once its first checkpoint is there.
    private func interrupted(_ place: CommandFolder, output: String) throws -> (status: Int32, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.beemPath)
        process.arguments = ["train", place.recipe, "--output", output, "--threads", "2"]
        let errors = try place.folder.write("", as: "errors")
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let checkpoint = output + "/training.checkpoint"
        while process.isRunning, !FileManager.default.fileExists(atPath: checkpoint) { usleep(5000) }
        process.interrupt()
        process.waitUntilExit()
        return (process.terminationStatus, try place.text(errors))
    }

    @Test("after Ctrl-C ends with code 130 and a checkpoint from which --resume reaches the same bytes")
    func interruption() throws {
        let place = try CommandFolder(extra: Self.long)
        let (status, errors) = try interrupted(place, output: place.folder.file("out"))
        try #require(status == 130, "\(errors)")
        #expect(errors.contains("Go on with --resume"))
        let left = try FileManager.default.contentsOfDirectory(atPath: place.folder.file("out"))
        #expect(left == ["training.checkpoint"])

        // With other settings it is the checkpoint of another training; with a byte changed it is none.
        let recipe = try place.text(place.recipe)
        try recipe.replacing("1e-3", with: "1e-4").write(toFile: place.recipe, atomically: true, encoding: .utf8)
        let other = try Command.beem("train", place.recipe, "--resume")
        #expect(other.exitCode == 2 && other.errors.contains("a checkpoint of another training"))
        try recipe.write(toFile: place.recipe, atomically: true, encoding: .utf8)
        var bytes = try data(place, "out/training.checkpoint")
        let whole = bytes
        bytes[bytes.count / 2] ^= 1
        let checkpoint = URL(fileURLWithPath: place.folder.file("out/training.checkpoint"))
        try bytes.write(to: checkpoint)
        let changed = try Command.beem("train", place.recipe, "--resume")
        #expect(changed.exitCode == 2 && changed.errors.contains("not what was written"))
        try whole.prefix(20).write(to: checkpoint)
        let cut = try Command.beem("train", place.recipe, "--resume")
        #expect(cut.exitCode == 2 && cut.errors.contains("training.checkpoint"))
        try whole.write(to: checkpoint)

        let resumed = try Command.beem("train", place.recipe, "--resume")
        #expect(resumed.exitCode == 0, "\(resumed.errors)")
        #expect(resumed.errors.contains("Going on from"))
        let undisturbed = try Command.beem("train", place.recipe, "--output", place.folder.file("undisturbed"))
        #expect(undisturbed.exitCode == 0)
        for name in ["heads.safetensors", "training.csv"] {
            #expect(try data(place, "out/\(name)") == data(place, "undisturbed/\(name)"))
        }
        #expect(!FileManager.default.fileExists(atPath: checkpoint.path))
    }

    @Test("by the joint objective tells its value, in which later exits weigh more")
    func joint() throws {
        let place = try CommandFolder(extra: "training: { loss: joint, l2: 1e-2 }")
        let train = try Command.beem("train", place.recipe, "--json")
        #expect(train.exitCode == 0, "\(train.errors)")
        let object = try jsonObject(train)
        let objectives = try #require(object["exits"] as? [[String: Any]]).map { $0["objective"] as! Double }
        let expected = (objectives[0] + 2 * objectives[1] + 3 * objectives[2] + 4 * objectives[3]) / 10
        #expect(abs(try #require(object["jointObjective"] as? Double) - expected) < 1e-12)
        let text = try Command.beem("train", place.recipe)
        #expect(text.output.contains(String(format: "Joint objective, penalties included: %.3f nats", expected)))
        try place.writeRecipe()
        let plain = try Command.beem("train", place.recipe)
        #expect(!plain.output.contains("Joint"))
    }

    @Test("from heads of another kind than the recipe's says so")
    func otherKind() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        try place.writeRecipe(extra: Self.hidden)
        let error = try Command.beem("train", place.recipe, "--init", place.folder.file("out/heads.safetensors"))
        #expect(error.exitCode == 2)
        #expect(error.errors.contains("a linear head; expected a head with 8 hidden units, gelu"))
    }

    @Test("with as many class weights as there are not classes says so")
    func classWeights() throws {
        let place = try CommandFolder(extra: "training: { classWeights: [1, 2] }")
        let error = try Command.beem("train", place.recipe)
        #expect(error.exitCode == 2)
        #expect(error.errors.contains("training.classWeights: 2 weights; expected one for each of the 3 classes"))
    }

    @Test(
        "writes heads that PyTorch loads and says the same with, where it is there",
        .enabled(if: Command.pythonWithTorch != nil))
    func torch() throws {
        for heads in [Self.hidden, Self.hidden.replacing("dropout: 0.1", with: "layerNorm: true"), ""] {
            let place = try CommandFolder(extra: heads)
            #expect(try Command.beem("train", place.recipe).exitCode == 0)
            let file = place.folder.file("out/heads.safetensors")
            let set = try HeadSet(reading: file)
            let rows: [[Float]] = [[0.5, -1, 2, 0.25, 3, -2], [0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]]
            let features = try place.folder.write(
                String(decoding: JSONEncoder().encode(set.heads.map { _ in rows }), as: UTF8.self), as: "rows.json")
            let script = try #require(
                Bundle.module.url(forResource: "load_heads", withExtension: "py", subdirectory: "Resources"))
            let python = try Command(#require(Command.pythonWithTorch), [script.path, file, features])
            #expect(python.exitCode == 0, "\(python.errors)")
            let logits = try JSONDecoder().decode([[[Float]]].self, from: Data(python.output.utf8))
            for (exit, head) in set.heads.enumerated() {
                for (row, expected) in zip(rows, logits[exit]) {
                    for (found, expected) in zip(head.logits(row), expected) {
                        #expect(abs(found - expected) <= 1e-5 * max(1, abs(expected)))
                    }
                }
            }
        }
    }
}
