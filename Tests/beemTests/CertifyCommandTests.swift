import Calibration
import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("The log beside the output")
struct CertifyLogCommandTests {
    @Test("has one line for the same run twice, and the policy is the same to the byte")
    func twice() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        let (policy, log) = (try place.text(place.policy), try place.text(place.log))
        #expect(policy.contains("\"certifyUses\" : 1"))
        let again = try Command.beem("run", place.recipe)
        #expect(again.exitCode == 0 && !again.errors.contains("warning"))
        #expect(try place.text(place.policy) == policy && place.text(place.log) == log)
        #expect(try place.logLines().count == 1)
    }

    @Test("counts another recipe on the same split, and the command warns")
    func otherRecipe() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        try place.writeRecipe(guarantee: "allowedGap: 0.01")
        let second = try Command.beem("calibrate", place.recipe)
        #expect(second.exitCode == 0)
        #expect(second.errors.contains("warning: this certify split has been used by 2 different runs"))
        #expect(try place.text(place.policy).contains("\"certifyUses\" : 2"))
        #expect(try place.logLines().count == 2)
        // Whoever reads the policy is told too.
        #expect(try Command.beem("apply", place.policy, place.features).errors.contains("by 2 different runs"))
        // The first recipe again is no third use, but the split has been looked at twice.
        try place.writeRecipe()
        #expect(try Command.beem("calibrate", place.recipe).errors.contains("by 2 different runs"))
        #expect(try place.logLines().count == 2)
    }

    @Test("warns of no more uses than were planned for")
    func plannedUses() throws {
        let place = try CommandFolder(guarantee: "uses: 2, allowedGap: 0.02")
        #expect(!(try Command.beem("run", place.recipe).errors.contains("warning")))
        try place.writeRecipe(guarantee: "uses: 2, allowedGap: 0.03")
        #expect(!(try Command.beem("calibrate", place.recipe).errors.contains("warning")))
        #expect(try place.text(place.policy).contains("\"certifyUses\" : 2"))
        try place.writeRecipe(guarantee: "uses: 2, allowedGap: 0.04")
        #expect(try Command.beem("calibrate", place.recipe).errors.contains("by 3 different runs"))
    }

    @Test("warns when another seed has drawn another certify split from the same features")
    func otherSeed() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        let other = try Command.beem("run", place.recipe, "--seed", "4", "--output", place.folder.file("other"))
        #expect(other.errors.contains("warning: 1 other draws of certify samples"))
        #expect(!other.errors.contains("different runs"))
        #expect(try place.logLines().count == 2)
    }

    @Test("with a line that is none, or that cannot be written, stops before anything is certified")
    func broken() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        let before = try place.text(place.policy)
        try place.writeRecipe(guarantee: "allowedGap: 0.01")
        try place.folder.write(place.text(place.log) + "no JSON\n", as: "certify-log.jsonl")
        let malformed = try Command.beem("calibrate", place.recipe)
        #expect(malformed.exitCode == 2 && malformed.output.isEmpty)
        #expect(malformed.errors.contains("certify-log.jsonl: line 2: 'no JSON'"))
        #expect(try place.text(place.policy) == before)
        // A log that leads nowhere cannot be made.
        try FileManager.default.removeItem(atPath: place.log)
        try FileManager.default.createSymbolicLink(
            atPath: place.log, withDestinationPath: place.folder.file("no/such/folder/log"))
        let unwritable = try Command.beem("calibrate", place.recipe)
        #expect(unwritable.exitCode == 2 && unwritable.output.isEmpty)
        #expect(unwritable.errors.contains("certify-log.jsonl: cannot be written to"))
        #expect(try place.text(place.policy) == before)
    }

    @Test("gets no line from commands that do not look at certify")
    func lookingElsewhere() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        let log = try place.text(place.log)
        for arguments in [
            ["study", place.recipe, "--repeats", "2", "--quiet"],
            ["verify", place.policy, place.features, "--split", "test"],
            ["evaluate", place.recipe], ["plan", "--policy", place.policy],
        ] {
            let command = try Command(Command.beemPath, arguments)
            #expect(command.exitCode == 0, "\(arguments[0]): \(command.errors)")
        }
        #expect(try place.text(place.log) == log)
        #expect(try place.folder.contents() == ["certify-log.jsonl", "features.safetensors", "out", "recipe.yaml"])
    }
}

@Suite("calibrate --spend")
struct SpendCommandTests {
    @Test("certifies every line of the table at the divided level, writes a policy for each, and is one use")
    func five() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        let command = try Command.beem("calibrate", place.recipe, "--spend", "5", "--json")
        #expect(command.exitCode == 0, "\(command.errors)")
        let lines = try #require(
            try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [[String: Any]])
        #expect(lines.compactMap { $0["allowedGap"] as? Double } == [0, 0.0025, 0.005, 0.01, 0.02])
        var files: Set<String> = []
        for line in lines {
            let file = try #require(line["policy"] as? String)
            files.insert(file)
            let policy = try Policy(reading: file)
            let gap = try #require(line["allowedGap"] as? Double)
            if let certificate = policy.certificate {
                #expect(certificate.uses == 5 && certificate.allowedGap == gap && certificate.certifyUses == 1)
                #expect(certificate.pValue <= 0.01)
            } else {
                #expect(line["certificate"] == nil)
            }
        }
        #expect(files.count == 5 && files.contains(place.policy))
        #expect(lines.contains { $0["certificate"] != nil })
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder.file("out")).count == 7)
        let log = try place.logLines()
        #expect(log.count == 1 && log[0].contains("\"action\":\"spend 5\""))
        let text = try Command.beem("calibrate", place.recipe, "--spend", "5")
        #expect(text.output.contains("1/5 of the failure probability"))
    }

    @Test("takes at least as many uses as there are lines", arguments: [("", "2"), ("allowedGap: 0.015", "5")])
    func tooFew(guarantee: String, uses: String) throws {
        let place = try CommandFolder(guarantee: guarantee)
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        let command = try Command.beem("calibrate", place.recipe, "--spend", uses)
        #expect(command.exitCode == 64 && command.output.isEmpty)
        #expect(command.errors.contains("--spend \(uses)"))
        #expect(!FileManager.default.fileExists(atPath: place.log))
        #expect(!FileManager.default.fileExists(atPath: place.policy))
    }
}

@Suite("certify")
struct CertifyCommandTests {
    /// A run whose policy then gets thresholds by hand.
    private func place(_ thresholds: [Double?]) throws -> CommandFolder {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        var policy = try Policy(reading: place.policy)
        for (exit, threshold) in thresholds.enumerated() { policy.exits[exit].threshold = threshold }
        policy.certificate = nil
        try policy.write(to: place.policy)
        return place
    }

    @Test("tests a policy with thresholds set by hand once, writes it with its certificate, and logs the use")
    func certified() throws {
        let place = try place([0.9, 1.2, nil])
        let output = place.folder.file("certified.json")
        let command = try Command.beem(
            "certify", place.policy, place.features, "--split", "certify", "--allowed-gap", "0.05", "--output", output,
            "--json")
        #expect(command.exitCode == 0, "\(command.errors)")
        let applied = try AppliedPolicy(policyFile: place.policy, data: place.features)
        let expected = try PolicyCertification(
            applied, outputs: applied.outputs(rows: applied.rows(of: .certify)),
            guarantee: Recipe.Guarantee(allowedGap: 0.05), certifyUses: 2)
        #expect(expected.policy.certificate != nil)
        #expect(try Policy(reading: place.policy).certificate == nil)
        // The heads stay where the policy was; what is written beside is the policy with its certificate.
        #expect(try Policy(reading: output) == expected.policy)
        let object = try jsonObject(command)
        #expect(Set(object.keys) == ["certificate", "pValue", "samples", "gaps", "harmfulFlips", "helpfulFlips"])
        struct Numbers: Decodable {
            var pValue: Double
            var samples: Int
        }
        let numbers = try JSONDecoder().decode(Numbers.self, from: Data(command.output.utf8))
        #expect(numbers.pValue == expected.pValue)
        #expect(numbers.samples == 300)
        #expect(try place.logLines().count == 2 && place.logLines()[1].contains("\"action\":\"certify\""))
        // The run had used the split before.
        #expect(command.errors.contains("used by 2 different runs"))
    }

    @Test("says that it is not certified, which is an error only where a certificate is required")
    func notCertified() throws {
        let place = try place([-1, nil, nil])
        let arguments = ["certify", place.policy, place.features, "--split", "test"]
        let lenient = try Command(Command.beemPath, arguments + ["--json"])
        #expect(lenient.exitCode == 0)
        #expect(try jsonObject(lenient)["certificate"] is NSNull)
        #expect(try Command(Command.beemPath, arguments).output.hasPrefix("NOT CERTIFIED"))
        #expect(try Command(Command.beemPath, arguments + ["--require-certificate"]).exitCode == 1)
    }

    @Test("counts another gap on the same samples as another use")
    func otherGap() throws {
        let place = try place([0.9, 1.2, nil])
        func errors(_ gap: String) throws -> String {
            try Command.beem("certify", place.policy, place.features, "--split", "test", "--allowed-gap", gap).errors
        }
        #expect(!(try errors("0").contains("different runs")))
        #expect(try errors("0.01").contains("by 2 different runs"))
        #expect(try errors("0.02").contains("by 3 different runs"))
        #expect(try errors("0.02").contains("by 3 different runs"))
    }

    @Test("of a policy that already has its certificate is the same use again")
    func again() throws {
        let place = try place([0.9, 1.2, nil])
        for _ in 0..<3 {
            let command = try Command.beem(
                "certify", place.policy, place.features, "--split", "test", "--allowed-gap", "0.1", "--output",
                place.policy)
            #expect(command.exitCode == 0 && !command.errors.contains("different runs"), "\(command.errors)")
        }
        #expect(try Policy(reading: place.policy).certificate?.certifyUses == 1)
    }

    @Test(
        "with options that make no sense is wrong usage",
        arguments: [
            ["--allowed-gap", "1"], ["--allowed-gap", "-0.1"], ["--failure-probability", "0"], ["--uses", "0"],
            ["--loss", "disagreement"], ["--loss", "errors"], ["--reference", "-1"], ["--max-group-size", "0"],
        ])
    func usage(options: [String]) throws {
        let command = try Command(Command.beemPath, ["certify", "policy.json", "features.safetensors"] + options)
        #expect(command.exitCode == 64, "\(command.errors)")
    }
}

@Suite("study")
struct StudyCommandTests {
    @Test("prints the same JSON whatever the number of threads, and a table with what it means")
    func study() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        let arguments = ["study", place.recipe, "--repeats", "3", "--only", "BEEM-A, certified"]
        let one = try Command(Command.beemPath, arguments + ["--json", "--threads", "1"])
        #expect(one.exitCode == 0 && one.errors.isEmpty, "\(one.errors)")
        #expect(try Command(Command.beemPath, arguments + ["--json", "--threads", "2"]).output == one.output)
        #expect(try #require(jsonObject(one)["methods"] as? [Any]).count == 7)
        let table = try Command(Command.beemPath, arguments).output
        #expect(table.contains("Draws share samples"))
        #expect(!table.contains("certified in error"))
        let truth = try Command(Command.beemPath, arguments + ["--draws", "bootstrap"]).output
        #expect(truth.contains("certified in error"))
        #expect(truth.contains("VALID: "))
        let random = try Command(Command.beemPath, arguments + ["--labels", "random"]).output
        #expect(random.contains("labels of tune and certify random"))
    }

    @Test("with options that make no sense is wrong usage")
    func usage() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        for options in [
            ["--repeats", "0"], ["--draws", "jackknife"], ["--allowed-gap", "1"], ["--only", "nothing"],
        ] {
            #expect(try Command(Command.beemPath, ["study", place.recipe] + options).exitCode == 64)
        }
        let untrained = try CommandFolder()
        let command = try Command.beem("study", untrained.recipe)
        #expect(command.exitCode == 2 && command.errors.contains("beem train"))
    }
}

@Suite("Comparing rules and picking one")
struct CompareCommandTests {
    @Test("compare shows every rule and does not use certify; auto says that it picked")
    func compareAndAuto() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe, "--quiet").exitCode == 0)
        let compare = try Command.beem("compare", place.recipe)
        #expect(compare.exitCode == 0, "\(compare.errors)")
        for name in ["BEEM-A, memory 1", "BEEM-C", "patience", "static", "neighbouring exits play no part"] {
            #expect(compare.output.contains(name))
        }
        #expect(!FileManager.default.fileExists(atPath: place.log))

        try place.writeRecipe(extra: "rule: { kind: auto }")
        let auto = try Command.beem("calibrate", place.recipe)
        #expect(auto.exitCode == 0, "\(auto.errors)")
        #expect(auto.output.contains("Picked among"))
        #expect(try place.logLines().count == 1)
    }

    @Test("auto takes no settings of a rule")
    func settings() throws {
        let place = try CommandFolder(extra: "rule: { kind: auto, memory: 0.5 }")
        let command = try Command.beem("calibrate", place.recipe)
        #expect(command.exitCode == 2 && command.errors.contains("rule.memory"))
    }
}

@Suite("Samples that made the policy")
struct SeenSampleTests {
    @Test("cannot certify it, and the message says which can; verify warns")
    func refused() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        let uses = try place.logLines().count
        for split in [[], ["--split", "train"], ["--split", "tune"]] {
            let certify = try Command(Command.beemPath, ["certify", place.policy, place.features] + split)
            #expect(certify.exitCode == 2 && certify.errors.contains("played no part"), "\(split): \(certify.errors)")
            let verify = try Command(Command.beemPath, ["verify", place.policy, place.features] + split)
            #expect(verify.exitCode != 2 && verify.errors.contains("played no part"), "\(split): \(verify.errors)")
        }
        #expect(try place.logLines().count == uses)
        let verify = try Command.beem("verify", place.policy, place.features, "--split", "test")
        #expect(!verify.errors.contains("played no part"))
    }
}
