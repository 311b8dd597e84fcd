import ExitPolicy
import Foundation
import TestSupport
import Testing

/// A wide table of what four exits say of samples of three classes, more often right the more confident they are. The
/// final layer is right in 75 of 100 samples however confident it is, so that leaving early can be certified.
private struct OutputsTable {
    var samples = 1200
    var seed: UInt64 = 1
    /// Changes a confidence: exit and value.
    var confidence: (_ exit: Int, _ value: Double) -> Double = { $1 }
    /// Changes a label: exit and label.
    var label: (_ exit: Int, _ label: Int) -> Int = { $1 }

    static let classes = ["cat", "dog", "owl"]
    static let exits = 4

    var csv: String {
        var state = seed
        // The generator of Knuth's MMIX; its high bits.
        func uniform() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / 0x1p53
        }
        let exits = 0..<Self.exits
        var text = "truth," + exits.map { "said_\($0),sure_\($0)" }.joined(separator: ",") + "\n"
        for sample in 0..<samples {
            let truth = sample % 3
            let ease = uniform()
            var cells = [Self.classes[truth]]
            for exit in exits {
                let sure = min(1, 0.35 + 0.65 * max(0, ease + 0.1 * Double(exit) - 0.2 * uniform()))
                let isRight = uniform() < (exit == Self.exits - 1 ? 0.75 : sure)
                let said = isRight ? truth : (truth + (uniform() < 0.5 ? 1 : 2)) % 3
                cells += [Self.classes[label(exit, said)], "\(Float(confidence(exit, sure)))"]
            }
            text += cells.joined(separator: ",") + "\n"
        }
        return text
    }
}

/// A folder with a recipe and a table of outputs.
private struct OutputsFolder {
    let folder: TemporaryFolder

    init(_ table: OutputsTable = OutputsTable(), guarantee: String = "", extra: String = "") throws {
        folder = try TemporaryFolder()
        try folder.write(table.csv, as: "outputs.csv")
        try folder.write(
            """
            name: elsewhere
            outputs: { file: outputs.csv, columns: { target: truth, label: "said_{exit}", confidence: "sure_{exit}" } }
            splits: { tune: 0.3, certify: 0.4, test: 0.3 }
            seed: 5
            output: out
            guarantee: { \(guarantee) }
            \(extra)
            """, as: "recipe.yaml")
    }

    var recipe: String { folder.file("recipe.yaml") }
    var outputs: String { folder.file("outputs.csv") }
    var policy: String { folder.file("out/policy.json") }
    var frontier: String { folder.file("out/frontier.csv") }

    func text(_ name: String) throws -> String { try String(contentsOfFile: folder.file(name), encoding: .utf8) }
    func lines(_ name: String) throws -> [String] { try text(name).split(separator: "\n").map(String.init) }
    func written() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted()
    }
}

@Suite("Outputs of exits that were trained elsewhere")
struct OutputsCommandTests {
    // MARK: Calibrating

    @Test("are calibrated into a policy without heads, with the frontier and what to do next")
    func calibrate() throws {
        let place = try OutputsFolder()
        let command = try Command.beem("calibrate", place.recipe)
        #expect(command.exitCode == 0, "\(command.errors)")
        #expect(!command.errors.contains("warning"))
        #expect(command.errors.contains("evaluation.json, \(place.frontier), \(place.policy), "))
        #expect(
            command.errors.contains(
                "Next: beem apply \(place.policy) \(place.outputs) --split test --recipe \(place.recipe)"))
        let files = ["evaluation.json", "frontier.csv", "policy.json", "report.html", "report.json"]
        #expect(try place.written() == files)
        let policy = try Policy(reading: place.policy)
        #expect(policy.heads == nil && policy.classes == OutputsTable.classes && policy.exits.count == 4)
        let certificate = try #require(policy.certificate)
        #expect(certificate.certifyUses == 1 && certificate.allowedGap == 0 && certificate.samples == 480)
        #expect(policy.exits[0].name == "exit 0" && policy.exits.contains { $0.threshold != nil })
        let frontier = try place.lines("out/frontier.csv")
        #expect(frontier[0] == "threshold,mean_cost,speed_up,error,gap,harmful_flips,helpful_flips")
        #expect(frontier.count > 2)
        #expect(try place.lines("certify-log.jsonl").count == 1)
    }

    @Test("are run to the same policy as by calibrate, and evaluated as by evaluate; nothing is trained")
    func run() throws {
        let place = try OutputsFolder()
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        let calibrated = try (place.text("out/policy.json"), place.text("out/frontier.csv"))
        let command = try Command.beem("run", place.recipe)
        #expect(command.exitCode == 0 && !command.errors.contains("warning"), "\(command.errors)")
        let files = ["evaluation.json", "frontier.csv", "policy.json", "report.html", "report.json"]
        #expect(try place.written() == files)
        #expect(try (place.text("out/policy.json"), place.text("out/frontier.csv")) == calibrated)
        // The same recipe on the same samples is the same use.
        #expect(try place.lines("certify-log.jsonl").count == 1)
        let evaluation = try place.text("out/evaluation.json")
        let evaluate = try Command.beem("evaluate", place.recipe, "--json")
        #expect(evaluate.exitCode == 0 && evaluate.output == evaluation)
        #expect(evaluation.contains("meanConfidence"))
        let json = try jsonObject(try Command.beem("run", place.recipe, "--json"))
        #expect(json["certificate"] is [String: Any] && json["tune"] != nil && json["test"] != nil)
    }

    @Test("are not trained: the command says what to do instead, and leaves nothing behind")
    func train() throws {
        let place = try OutputsFolder()
        let command = try Command.beem("train", place.recipe)
        #expect(command.exitCode == 2 && command.output.isEmpty)
        #expect(command.errors.hasPrefix("beem: error: \(place.recipe): outputs: "))
        #expect(command.errors.contains("There is nothing to train: go on with `beem calibrate`."))
        #expect(command.errors.split(separator: "\n").count == 1)
        #expect(!FileManager.default.fileExists(atPath: place.folder.file("out")))
    }

    @Test("take no heads", arguments: ["calibrate", "evaluate", "compare", "frontier"])
    func heads(subcommand: String) throws {
        let place = try OutputsFolder()
        let source = try CommandFolder()
        #expect(try Command.beem("train", source.recipe, "--quiet").exitCode == 0)
        let command = try Command.beem(
            subcommand, place.recipe, "--heads", source.folder.file("out/heads.safetensors"))
        #expect(command.exitCode == 2 && command.output.isEmpty)
        #expect(command.errors.contains("heads beside recorded outputs"), "\(command.errors)")
    }

    @Test("with the lines of the trade-off certified say what was written, and nothing that was not")
    func spend() throws {
        let place = try OutputsFolder()
        let command = try Command.beem("calibrate", place.recipe, "--spend", "5")
        #expect(command.exitCode == 0, "\(command.errors)")
        #expect(command.errors.contains("Wrote \(place.policy).") && !command.errors.contains("frontier"))
        #expect(try place.written().count == 5 && !FileManager.default.fileExists(atPath: place.frontier))
    }

    // MARK: The frontier

    @Test("have a frontier: efficient points, or all, of any split but certify")
    func frontierPoints() throws {
        let place = try OutputsFolder()
        let efficient = try Command.beem("frontier", place.recipe)
        #expect(efficient.exitCode == 0 && efficient.output.isEmpty, "\(efficient.errors)")
        let rows = try place.lines("out/frontier.csv")
        #expect(efficient.errors.hasPrefix("Wrote \(place.frontier): \(rows.count - 1) points of the tune split.\n"))
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        #expect(try place.lines("out/frontier.csv") == rows)

        #expect(try Command.beem("frontier", place.recipe, "--points", "all", "--quiet").errors.isEmpty)
        let all = try place.lines("out/frontier.csv")
        #expect(all.count > rows.count && Set(all).isSuperset(of: rows) && all[1].hasPrefix(",4.0,1.0,"))
        let test = try Command.beem("frontier", place.recipe, "--split", "test")
        #expect(test.exitCode == 0 && test.errors.contains("of the test split"))
        #expect(try place.lines("out/frontier.csv") != rows)
        // Only calibrate looked at certify.
        #expect(try place.lines("certify-log.jsonl").count == 1)
    }

    @Test("have a frontier in JSON, with the numbers of the file")
    func frontierJSON() throws {
        let place = try OutputsFolder()
        let command = try Command.beem("frontier", place.recipe, "--points", "all", "--json")
        #expect(command.exitCode == 0 && command.errors.isEmpty, "\(command.errors)")
        struct Row: Decodable {
            var threshold: Double?
            var meanCost, speedUp, error, gap: Double
            var harmfulFlips, helpfulFlips: Int
        }
        let rows = try JSONDecoder().decode([Row].self, from: Data(command.output.utf8))
        let lines = try place.lines("out/frontier.csv").dropFirst().map { $0.components(separatedBy: ",") }
        #expect(rows.count == lines.count && command.output.contains("\"threshold\" : null"))
        for (row, line) in zip(rows, lines) {
            #expect(row.threshold == Double(line[0]))
            #expect([row.meanCost, row.speedUp, row.error, row.gap] == line[1...4].compactMap { Double($0) })
            #expect([row.harmfulFlips, row.helpfulFlips] == line[5...6].compactMap { Int($0) })
        }
    }

    @Test("have no frontier of certify, and none of a split without samples")
    func frontierRefused() throws {
        let place = try OutputsFolder()
        let certify = try Command.beem("frontier", place.recipe, "--split", "certify")
        #expect(certify.exitCode == 64 && certify.output.isEmpty && certify.errors.contains("--split certify"))
        #expect(!FileManager.default.fileExists(atPath: place.frontier))
        let train = try Command.beem("frontier", place.recipe, "--split", "train")
        #expect(train.exitCode == 2 && train.errors.contains("train split: no samples"), "\(train.errors)")
        #expect(!FileManager.default.fileExists(atPath: place.frontier))
        #expect(try Command.beem("frontier", place.recipe, "--points", "some").exitCode == 64)
    }

    // MARK: Using the policy

    @Test("are applied, verified and certified with the columns of the recipe")
    func using() throws {
        let place = try OutputsFolder()
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        let apply = try Command.beem(
            "apply", place.policy, place.outputs, "--recipe", place.recipe, "--split", "test")
        #expect(apply.exitCode == 0 && apply.errors.isEmpty, "\(apply.errors)")
        let decisions = apply.output.split(separator: "\n")
        #expect(decisions[0] == "sample,exit,label,score,cost" && decisions.count == 361)
        #expect(Set(decisions.dropFirst().map { $0.split(separator: ",")[1] }).count > 1)

        let verify = try Command.beem(
            "verify", place.policy, place.outputs, "--recipe", place.recipe, "--split", "test", "--json")
        #expect(verify.exitCode == 0 && verify.errors.isEmpty, "\(verify.errors)")
        #expect(try jsonObject(verify)["verdict"] as? String != "contradicted")

        var fresh = OutputsTable()
        fresh.seed = 77
        fresh.samples = 4000
        let other = try place.folder.write(fresh.csv, as: "new.csv")
        let output = place.folder.file("certified.json")
        let certify = try Command.beem(
            "certify", place.policy, other, "--recipe", place.recipe, "--allowed-gap", "0.05", "--output", output)
        #expect(certify.exitCode == 0 && !certify.errors.contains("warning"), "\(certify.errors)")
        let certificate = try #require(try Policy(reading: output).certificate)
        #expect(certificate.samples == 4000 && certificate.allowedGap == 0.05)
        #expect(try place.lines("certify-log.jsonl").count == 2)
    }

    @Test("that are not where the usual columns are need the recipe, and the message names the column")
    func withoutRecipe() throws {
        let place = try OutputsFolder()
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        for subcommand in ["apply", "verify", "certify"] {
            let command = try Command.beem(subcommand, place.policy, place.outputs, "--split", "test")
            #expect(command.exitCode == 2 && command.output.isEmpty)
            #expect(command.errors.contains("no such column"), "\(command.errors)")
        }
    }

    @Test("do not certify the policy that was made from them")
    func seen() throws {
        let place = try OutputsFolder()
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        let certify = try Command.beem("certify", place.policy, place.outputs, "--recipe", place.recipe)
        #expect(certify.exitCode == 2 && certify.errors.contains("played no part"))
    }

    @Test("and features do not go with each other's policies")
    func exchanged() throws {
        let place = try OutputsFolder()
        let other = try CommandFolder()
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        #expect(try Command.beem("run", other.recipe, "--quiet").exitCode == 0)
        let features = try Command.beem("apply", place.policy, other.features)
        #expect(features.exitCode == 2 && features.errors.contains("exit outputs, since"), "\(features.errors)")
        let outputs = try Command.beem("apply", other.policy, place.outputs, "--recipe", place.recipe)
        #expect(outputs.exitCode == 2 && outputs.errors.contains("a feature cache for the heads"), "\(outputs.errors)")
    }

    // MARK: Warnings

    @Test("with confidences that are none are used, and every command says so")
    func oddConfidences() throws {
        var table = OutputsTable()
        table.confidence = { exit, value in exit == 1 ? 3 * value - 1.5 : value }
        let place = try OutputsFolder(table)
        for subcommand in ["calibrate", "evaluate", "frontier", "compare"] {
            let command = try Command.beem(subcommand, place.recipe, "--quiet")
            #expect(command.exitCode == 0 && command.output.isEmpty)
            // How many are certified is another matter.
            let warnings = command.errors.split(separator: "\n").filter { !$0.contains("nothing could be certified") }
            #expect(warnings.count == 2, "\(command.errors)")
            #expect(warnings.allSatisfy { $0.hasPrefix("beem: warning: \(place.outputs): exit 1: ") })
            #expect(command.errors.contains("are below 1/3") && command.errors.contains("are above 1 "))
        }
    }

    @Test("of an exit that always says the same are used, and the command says so")
    func oneLabel() throws {
        var table = OutputsTable()
        table.label = { exit, label in exit == 0 ? 2 : label }
        let place = try OutputsFolder(table)
        let warning = "beem: warning: \(place.outputs): exit 0 says 'owl' of every sample\n"
        let evaluate = try Command.beem("evaluate", place.recipe, "--json")
        #expect(evaluate.exitCode == 0 && evaluate.errors == warning && !evaluate.output.contains("warning"))
        let calibrate = try Command.beem("calibrate", place.recipe, "--quiet")
        #expect(calibrate.exitCode == 0 && calibrate.errors.hasPrefix(warning) && calibrate.output.isEmpty)
    }

    // MARK: Comparing

    @Test("are compared, and the best two rules certified with the level divided, in one use")
    func compareSpend() throws {
        let place = try OutputsFolder()
        let compare = try Command.beem("compare", place.recipe)
        #expect(compare.exitCode == 0 && compare.output.contains("patience"), "\(compare.errors)")
        // A table of labels and largest probabilities knows nothing of margins.
        #expect(!compare.output.contains("margin between") && !compare.output.contains("entropy"))
        #expect(!FileManager.default.fileExists(atPath: place.folder.file("certify-log.jsonl")))

        let command = try Command.beem("compare", place.recipe, "--spend", "2", "--json")
        #expect(command.exitCode == 0 && command.errors.isEmpty, "\(command.errors)")
        let lines = try #require(
            try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [[String: Any]])
        #expect(lines.count == 2 && Set(lines.compactMap { $0["rule"] as? String }).count == 2)
        #expect(try place.written() == ["policy-rule-1.json", "policy-rule-2.json"])
        for (place, line) in zip([1, 2].map { place.folder.file("out/policy-rule-\($0).json") }, lines) {
            #expect(line["policy"] as? String == place)
            let policy = try Policy(reading: place)
            let certificate = try #require(policy.certificate)
            #expect(certificate.uses == 2 && certificate.certifyUses == 1 && certificate.pValue <= 0.025)
            #expect(policy.heads == nil)
        }
        let log = try place.lines("certify-log.jsonl")
        #expect(log.count == 1 && log[0].contains("\"action\":\"compare 2\""))
        // The best of the comparison, and the same use again.
        let text = try Command.beem("compare", place.recipe, "--spend", "2")
        let table = compare.output.components(separatedBy: "\nCross-fitted")[0]
        #expect(text.output.hasPrefix(table) && text.output.contains("the first 2 were then certified"))
        #expect(text.output.contains("1/2 of the failure probability"))
        #expect(try place.lines("certify-log.jsonl").count == 1 && !text.errors.contains("warning"))
    }

    @Test("are certified for as many rules as there are, from one", arguments: ["0", "-1", "1000"])
    func spendRefused(spend: String) throws {
        let place = try OutputsFolder()
        let command = try Command.beem("compare", place.recipe, "--spend=\(spend)", "--quiet")
        #expect(command.exitCode == 64 && command.output.isEmpty && command.errors.contains("--spend"))
        #expect(!FileManager.default.fileExists(atPath: place.folder.file("certify-log.jsonl")))
        #expect(!FileManager.default.fileExists(atPath: place.folder.file("out")))
    }

    @Test("with heads are compared and certified beside their heads")
    func compareSpendHeads() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe, "--quiet").exitCode == 0)
        let command = try Command.beem("compare", place.recipe, "--spend", "1", "--quiet")
        #expect(command.exitCode == 0 && command.output.isEmpty, "\(command.errors)")
        let path = place.folder.file("out/policy-rule-1.json")
        #expect(try Policy(reading: path).heads?.file == "heads.safetensors")
        #expect(try Command.beem("apply", path, place.features, "--split", "test").exitCode == 0)
        #expect(try place.logLines().count == 1)
    }
}
