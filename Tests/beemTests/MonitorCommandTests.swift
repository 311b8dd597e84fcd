import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("monitor")
struct MonitorCommandTests {
    /// A folder with a certified policy of two classes.
    private func place(_ change: (inout Policy) -> Void = { _ in }) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        var policy = Policy(
            name: "audited", classes: ["no", "yes"], rule: .init(kind: .maxProbability),
            exits: [
                .init(index: 0, name: "layer 1", cost: 1, weight: 1, threshold: 0.9),
                .init(index: 1, name: "layer 2", cost: 2, weight: 1, threshold: nil),
            ],
            heads: nil,
            certificate: Certificate(
                kind: .pairedExactTrinomial, allowedGap: 0.01, failureProbability: 0.05, samples: 2000,
                harmfulFlips: 20, helpfulFlips: 30, disagreements: 60, pValue: 0.001, candidatesTested: 1,
                order: "given", certifyUses: 1, speedUp: 1.5),
            test: nil, provenance: .init(recipe: "r", features: .init(sha256: "f"), seed: 1, tool: "beem"))
        change(&policy)
        try policy.write(to: folder.file("policy.json"))
        return folder
    }

    /// One record in so many is harmful or helpful; all others agree and are right.
    private func log(_ count: Int, harmfulEvery: Int, helpfulEvery: Int, target: Bool = true) -> String {
        (1...count).map { number in
            let isHarmful = number % harmfulEvery == 0
            let isHelpful = !isHarmful && number % helpfulEvery == 0
            let label = isHarmful ? "\"no\"" : "\"yes\""
            let final = isHelpful ? "0" : "1"
            return "{\"label\": \(label), \"finalLabel\": \(final)\(target ? ", \"target\": \"yes\"" : "")}\n"
        }.joined()
    }

    private func monitor(_ folder: TemporaryFolder, _ log: String, _ options: String...) throws -> Command {
        try folder.write(log, as: "audit.jsonl")
        return try Command(
            Command.beemPath, ["monitor", folder.file("policy.json"), folder.file("audit.jsonl")] + options)
    }

    @Test("raises an alarm, with exit code 1, for a gap that drifts above the allowed one")
    func drift() throws {
        let folder = try place()
        let calm = log(2000, harmfulEvery: 50, helpfulEvery: 49)
        let command = try monitor(folder, calm + log(1000, harmfulEvery: 5, helpfulEvery: 49), "--json")
        #expect(command.exitCode == 1, "\(command.errors)")
        let object = try jsonObject(command)
        #expect(object["subject"] as? String == "gap" && object["limit"] as? Double == 0.01)
        #expect(object["records"] as? Int == 3000 && object["counted"] as? Int == 3000)
        let alarm = try #require((object["drift"] as? [String: Any])?["firstAlarm"] as? Int)
        #expect(alarm > 2000 && alarm < 2500)
        #expect(try monitor(folder, calm + log(1000, harmfulEvery: 5, helpfulEvery: 49)).output.contains("ALARM: "))
    }

    @Test("stays silent, with exit code 0, while the gap is what it was")
    func calm() throws {
        let command = try monitor(place(), log(4000, harmfulEvery: 50, helpfulEvery: 49))
        #expect(command.exitCode == 0 && command.errors.isEmpty)
        #expect(command.output.contains("No alarm."))
        #expect(command.output.contains("mean gap so far"))
    }

    @Test("takes class names and numbers for the same")
    func names() throws {
        let folder = try place()
        let text = log(300, harmfulEvery: 7, helpfulEvery: 11)
        let numbers = text.replacing("\"yes\"", with: "1").replacing("\"no\"", with: "0")
        let left = try monitor(folder, text, "--json")
        let right = try monitor(folder, numbers, "--json")
        #expect(left.output == right.output && left.exitCode == right.exitCode)
        // Empty lines, and no line break at the end, make no difference either.
        let spaced = try monitor(folder, String(text.replacing("\n", with: "\n\n").dropLast(2)), "--json")
        #expect(spaced.output == left.output)
    }

    @Test("without targets tests how often labels differ, and says that this is no statement about the gap")
    func disagreement() throws {
        let folder = try place()
        let calm = try monitor(folder, log(3000, harmfulEvery: 60, helpfulEvery: 90, target: false))
        #expect(calm.exitCode == 0)
        #expect(calm.output.contains("mean disagreement so far"))
        #expect(calm.output.contains("not about the gap"))
        let drift = try monitor(folder, log(3000, harmfulEvery: 8, helpfulEvery: 90, target: false), "--json")
        #expect(drift.exitCode == 1)
        let object = try jsonObject(drift)
        #expect(object["subject"] as? String == "disagreement")
        // The exact upper bound at 95 % on 60 of 2000 lies a little above 3 %.
        let limit = try #require(object["limit"] as? Double)
        #expect(limit > 0.03 && limit < 0.04)
    }

    @Test("counts only records with a target where any has one")
    func someTargets() throws {
        let text =
            log(200, harmfulEvery: 50, helpfulEvery: 49) + log(300, harmfulEvery: 2, helpfulEvery: 3, target: false)
        let object = try jsonObject(try monitor(place(), text, "--json"))
        #expect(object["subject"] as? String == "gap")
        #expect(object["records"] as? Int == 500 && object["counted"] as? Int == 200)
    }

    @Test("holds a certificate of disagreement against what it allows, targets or none")
    func certifiedDisagreement() throws {
        let folder = try place {
            $0.certificate = Certificate(
                kind: .disagreement, loss: .disagreement, allowedGap: 0.05, failureProbability: 0.05, samples: 2000,
                harmfulFlips: 60,
                helpfulFlips: 0, disagreements: 60, pValue: 0.001, candidatesTested: 1, order: "given", certifyUses: 1,
                speedUp: 1.5)
        }
        let object = try jsonObject(try monitor(folder, log(500, harmfulEvery: 40, helpfulEvery: 41), "--json"))
        #expect(object["subject"] as? String == "certified disagreement" && object["limit"] as? Double == 0.05)
    }

    @Test(
        "names the line of a record that is none",
        arguments: [
            ("{\"label\": \"yes\"}", "line 3"), ("yes,no", "line 3"),
            ("{\"label\": \"maybe\", \"finalLabel\": \"no\"}", "line 3: label: 'maybe'"),
            ("{\"label\": 0, \"finalLabel\": 2}", "line 3: finalLabel: 2"),
            ("{\"label\": 0, \"finalLabel\": 1, \"target\": -1}", "line 3: target: -1"),
            ("{\"label\": 0.5, \"finalLabel\": 1}", "line 3"),
        ])
    func badLine(line: String, named: String) throws {
        let text = log(2, harmfulEvery: 5, helpfulEvery: 7) + line + "\n"
        let command = try monitor(place(), text)
        #expect(command.exitCode == 2 && command.output.isEmpty)
        #expect(command.errors.contains("audit.jsonl: \(named)"), "\(command.errors)")
    }

    @Test("needs a certificate, and a log")
    func missing() throws {
        let without = try monitor(place { $0.certificate = nil }, log(10, harmfulEvery: 5, helpfulEvery: 7))
        #expect(without.exitCode == 2)
        #expect(without.errors.contains("certificate: null"))
        let command = try Command.beem("monitor", place().file("policy.json"), "/no/such/audit.jsonl")
        #expect(command.exitCode == 2)
    }

    @Test("of an empty log has seen nothing and raises no alarm")
    func empty() throws {
        let command = try monitor(place(), "")
        #expect(command.exitCode == 0, "\(command.errors)")
        #expect(command.output.contains("0 records, 0 counted"))
    }

    @Test(
        "with options that make no sense is wrong usage",
        arguments: [["--false-alarm-probability", "1"], ["--samples-to-false-alarm", "0"]])
    func usage(options: [String]) throws {
        let command = try Command(Command.beemPath, ["monitor", "policy.json", "audit.jsonl"] + options)
        #expect(command.exitCode == 64)
    }
}
