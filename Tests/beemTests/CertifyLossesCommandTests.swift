import ExitPolicy
import Foundation
import TestSupport
import Testing

/// A table of losses of four candidates, the cheapest of which loses too much.
private struct LossFolder {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        var state: UInt64 = 7
        func uniform() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / 0x1p53
        }
        var text = "candidate,sample,split,loss,reference_loss,cost\n"
        for sample in 0..<2400 {
            let split = ["tune", "certify", "test"][sample % 3]
            let reference = 0.3 + 0.4 * uniform()
            for (name, mean, cost) in [("late", 0, 7.0), ("middle", 0.004, 5), ("early", 0.01, 3), ("first", 0.09, 1)] {
                let loss = reference + mean + 0.1 * (uniform() - 0.5)
                text += "\(name),image \(sample),\(split),\(loss),\(reference),\(cost)\n"
            }
        }
        try folder.write(text, as: "losses.csv")
    }

    var table: String { folder.file("losses.csv") }

    func certify(_ arguments: String...) throws -> Command {
        try Command(Command.beemPath, ["certify", "--losses", table] + arguments)
    }
}

@Suite("beem certify --losses")
struct CertifyLossesCommandTests {
    @Test("certifies the fastest candidate whose mean loss is shown to be within the gap, and says what that means")
    func certified() throws {
        let place = try LossFolder()
        let command = try place.certify(
            "--allowed-gap", "0.02", "--loss-name", "1 - BLEU", "--unit", "image", "--sequences", "--full-cost", "8")
        #expect(command.exitCode == 0 && !command.errors.contains("warning"), "\(command.errors)")
        #expect(
            command.output.contains(
                "the mean loss (1 - BLEU) of the images, of whole sequences, under 'early' is at most 0.02 above the"))
        #expect(command.output.contains("over the draw of the 800 certify images"))
        #expect(command.output.contains("2.67x") && !command.output.contains("dearest"))
        let again = try place.certify("--allowed-gap", "0.02", "--loss-name", "1 - BLEU", "--json", "--full-cost", "8")
        #expect(!again.errors.contains("warning"), "the same look is no other use: \(again.errors)")
        let json = try jsonObject(again)
        let certificate = try #require(json["certificate"] as? [String: Any])
        #expect(certificate["kind"] as? String == "paired-betting" && certificate["samples"] as? Int == 800)
        #expect(json["candidate"] as? String == "early" && (json["candidates"] as? [Any])?.count == 4)
        let lines = try String(contentsOfFile: place.folder.file("certify-log.jsonl"), encoding: .utf8)
        #expect(lines.split(separator: "\n").count == 1)
        let other = try place.certify("--allowed-gap", "0.03", "--loss-name", "1 - BLEU")
        #expect(other.errors.contains("used by 2 different runs"))
        let cost = try place.certify("--allowed-gap", "0.02", "--loss-name", "1 - BLEU", "--full-cost", "9")
        #expect(cost.errors.contains("used by 3 different runs"), "which candidates are tested depends on it")
    }

    @Test("says so when nothing can be shown, and ends with 1 only where a certificate is required")
    func open() throws {
        let place = try LossFolder()
        let command = try place.certify("--allowed-gap", "0", "--order", "given")
        #expect(command.exitCode == 0 && command.output.contains("NOT CERTIFIED: no candidate's mean loss"))
        #expect(command.output.contains("dearest candidate"))
        let json = try jsonObject(try place.certify("--allowed-gap", "0.3", "--json"))
        #expect(json["fullCost"] as? Double == 7, "what the dearest one costs, to the bit")
        let candidates = try #require(json["candidates"] as? [[String: Any]])
        #expect(candidates[0]["place"] as? Int == 0, "and it is a candidate too")
        #expect(try place.certify("--allowed-gap", "0", "--order", "given", "--require-certificate").exitCode == 1)
    }

    @Test("writes the candidate's policy with the certificate, which other commands then do not take for one of labels")
    func policy() throws {
        let place = try CommandFolder()
        let losses = try LossFolder()
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        let pattern = place.folder.file("out/policy-{candidate}.json")
        let early = place.folder.file("out/policy-early.json")
        try FileManager.default.copyItem(atPath: place.policy, toPath: early)
        let certified = place.folder.file("out/certified.json")
        let command = try losses.certify(
            "--allowed-gap", "0.02", "--unit", "image", "--policies", pattern, "--output", certified)
        #expect(command.exitCode == 0 && command.errors.contains("Wrote \(certified)."), "\(command.errors)")
        let certificate = try #require(try Policy(reading: certified).certificate)
        let loss = try #require(certificate.measuredLoss)
        #expect(loss.candidate == "early" && loss.unit == "image" && loss.smallest == 0 && loss.largest == 1)
        #expect(abs(loss.loss - loss.referenceLoss) < 0.02 && certificate.allowedGap == 0.02)
        let verify = try Command.beem("verify", certified, place.features, "--split", "test")
        #expect(verify.exitCode == 2 && verify.errors.contains("certificate.measuredLoss"), "\(verify.errors)")
        #expect(try Command.beem("apply", certified, place.features, "--split", "test").exitCode == 0)
        let missing = try losses.certify(
            "--allowed-gap", "0.02", "--policies", place.folder.file("no-{candidate}.json"), "--output", certified)
        #expect(missing.exitCode == 2 && missing.errors.contains("no-early.json"))
    }

    @Test(
        "refuses what does not go together",
        arguments: [
            ["--loss", "disagreement"], ["--split", "test"], ["--allowed-gap", "0.1", "0.2"], ["--allowed-gap", "1"],
            ["--output", "p.json"], ["--policies", "p-{candidate}.json"],
            ["--policies", "p.json", "--output", "o.json"],
            ["--smallest-loss", "2"], ["--full-cost", "0"], ["--order", "best"], ["--reference", "1"],
        ])
    func refused(arguments: [String]) throws {
        let place = try LossFolder()
        let command = try Command(Command.beemPath, ["certify", "--losses", place.table] + arguments)
        #expect(command.exitCode == 64, "\(command.errors)")
    }

    @Test("options of losses, and no samples, are refused without a table")
    func withoutTable() throws {
        #expect(try Command.beem("certify").errors.contains("beem certify POLICY FEATURES, or --losses TABLE"))
        let command = try Command.beem("certify", "policy.json", "features.safetensors", "--unit", "image")
        #expect(command.exitCode == 64 && command.errors.contains("--unit goes with --losses"))
    }
}

@Suite("beem certify with several gaps")
struct CertifyGapsCommandTests {
    @Test("tests them from large to small until one fails, and certifies the smallest that passed")
    func nested() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        let output = place.folder.file("out/certified.json")
        let command = try Command.beem(
            "certify", place.policy, place.features, "--split", "test", "--allowed-gap", "0.005", "0.2", "0", "0.05",
            "--json", "--output", output)
        #expect(command.exitCode == 0, "\(command.errors)")
        let gaps = try #require(try jsonObject(command)["gaps"] as? [[String: Any]])
        let allowed = gaps.map { $0["allowedGap"] as! Double }
        #expect(allowed == Array([0.2, 0.05, 0.005, 0].prefix(gaps.count)))
        #expect(gaps.dropLast().allSatisfy { $0["passed"] as! Bool })
        let passed = try #require(gaps.last { $0["passed"] as! Bool })
        let certificate = try #require(try Policy(reading: output).certificate)
        #expect(certificate.allowedGap == passed["allowedGap"] as? Double)
        #expect(certificate.pValue == passed["pValue"] as? Double)
        for gap in gaps {
            // Each is the test that it would be alone.
            let alone = try jsonObject(
                Command.beem(
                    "certify", place.policy, place.features, "--split", "test", "--json", "--allowed-gap",
                    "\(gap["allowedGap"]!)"))
            #expect(alone["pValue"] as? Double == gap["pValue"] as? Double)
            #expect((alone["certificate"] is NSNull) == !(gap["passed"] as! Bool))
        }
        let told = try Command.beem(
            "certify", place.policy, place.features, "--split", "test", "--allowed-gap", "0.2", "0.05")
        #expect(told.output.contains("gap allowed (points)"))
        let twice = try Command.beem("certify", place.policy, place.features, "--allowed-gap", "0.1", "0.1")
        #expect(twice.exitCode == 64)
    }
}
