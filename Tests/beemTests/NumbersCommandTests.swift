import ExitHeads
import ExitPolicy
import Foundation
import Safetensors
import TestSupport
import Testing

@Suite("Heads that predict numbers")
struct NumbersCommandTests {
    private static let settings = """
        training: { loss: squared-error, l2: [1e-3, 1e-1] }
        rule: { kind: patience, tolerance: 0.5 }
        """

    private func place(_ settings: String = settings, hasTargets: Bool = true) throws -> CommandFolder {
        var cache = SyntheticCache()
        cache.hasTargets = hasTargets
        return try CommandFolder(cache: cache, guarantee: "allowedGap: 0.1", extra: settings)
    }

    @Test("are trained, calibrated and certified by how often they miss, and the policy gives numbers")
    func toThePolicy() throws {
        let place = try place()
        let run = try Command.beem("run", place.recipe)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output.contains("numbers, right within 0.5 of the target"))
        let policy = try Policy(reading: place.policy)
        #expect(policy.rule.tolerance == 0.5 && policy.classes == ["number"])
        let heads = try HeadSet(reading: place.folder.file("out/heads.safetensors")).heads
        #expect(heads.allSatisfy { $0.classCount == 1 })

        let apply = try Command.beem("apply", place.policy, place.features, "--split", "test")
        #expect(apply.exitCode == 0)
        let lines = apply.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        #expect(lines.count == 180)
        #expect(lines.contains { Double($0[2])! != Double($0[2])!.rounded() })
        let verify = try Command.beem("verify", place.policy, place.features, "--split", "test")
        #expect(verify.exitCode == 0, "\(verify.errors)")

        // What the policy claims of test, by a plain loop over its decisions.
        let cache = try CacheNumbers(place.features)
        let misses = lines.count { abs(Double($0[2])! - Double(cache.targets[Int($0[0])!])) > 0.5 }
        #expect(abs(try #require(policy.test).error - Double(misses) / 180) < 1e-12)
        for line in lines {
            let head = heads[Int(line[1])!]
            let number = head.logits(cache.features(exit: Int(line[1])!, row: Int(line[0])!))[0]
            #expect(abs(Double(number) - Double(line[2])!) < 1e-5)
        }
        let monitor = try Command.beem("monitor", place.policy, place.folder.file("log.jsonl"))
        #expect(monitor.exitCode == 2 && monitor.errors.contains("a policy for numbers"))
        let study = try Command.beem("study", place.recipe, "--repeats", "2", "--labels", "random")
        #expect(study.exitCode == 2 && study.errors.contains("random labels for numbers"))
    }

    @Test("are compared by the rules that need no confidence, and the policies of a comparison are for numbers too")
    func compared() throws {
        let place = try place()
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
        let compare = try Command.beem("compare", place.recipe)
        #expect(compare.exitCode == 0, "\(compare.errors)")
        #expect(compare.output.contains("patience") && !compare.output.contains("maximum probability"))
        let spend = try Command.beem("compare", place.recipe, "--spend", "2")
        #expect(spend.exitCode == 0, "\(spend.errors)")
        for rank in 1...2 {
            let policy = try Policy(reading: place.folder.file("out/policy-rule-\(rank).json"))
            #expect(policy.rule.tolerance == 0.5)
        }
        let frontier = try Command.beem("frontier", place.recipe)
        #expect(frontier.exitCode == 0, "\(frontier.errors)")
    }

    @Test("with a hidden layer are trained too")
    func hidden() throws {
        let place = try place(
            """
            heads: { kind: hidden, width: 8 }
            training: { loss: squared-error, epochs: 3, l2: 0 }
            rule: { kind: patience, tolerance: 0.5 }
            """)
        #expect(try Command.beem("train", place.recipe).exitCode == 0)
    }

    @Test(
        "need a recipe that fits them",
        arguments: [
            ("training: { loss: squared-error }\nrule: { kind: patience }", "no tolerance"),
            ("training: { loss: squared-error }\nrule: { kind: beem, tolerance: 1 }", "a rule that needs confidences"),
            ("training: { loss: squared-error }\nrule: { kind: auto }", "a rule that needs confidences"),
            ("rule: { kind: patience, tolerance: 1 }", "a tolerance; expected none without"),
            ("rule: { kind: patience }", "targets: numbers to predict; expected labels"),
        ])
    func wrongRecipe(settings: String, message: String) throws {
        let place = try place(settings)
        defer { withExtendedLifetime(place) {} }
        let error = try Command.beem("train", place.recipe)
        #expect(error.exitCode == 2)
        #expect(error.errors.contains(message), "\(error.errors)")
    }

    @Test("need targets, and neither classes nor a loss of disagreement")
    func wrongData() throws {
        let labelled = try place(hasTargets: false)
        let labels = try Command.beem("train", labelled.recipe)
        #expect(labels.exitCode == 2 && labels.errors.contains("labels: labels; expected the tensor 'targets' instead"))
        let place = try place()
        defer { withExtendedLifetime((labelled, place)) {} }
        for guarantee in ["allowedGap: 0.1, loss: disagreement", "classes: all"] {
            try place.writeRecipe(guarantee: guarantee, extra: Self.settings)
            let error = try Command.beem("run", place.recipe)
            #expect(error.exitCode == 2 && error.errors.contains("a guarantee that needs classes"))
        }
    }

    @Test("do not go with a policy for classes, nor classes with theirs")
    func mixedUp() throws {
        let (numbers, classes) = (try place(), try CommandFolder())
        #expect(try Command.beem("run", numbers.recipe, "--quiet").exitCode == 0)
        #expect(try Command.beem("run", classes.recipe, "--quiet").exitCode == 0)
        let first = try Command.beem("apply", numbers.policy, classes.features)
        #expect(first.exitCode == 2 && first.errors.contains("labels; expected the tensor 'targets'"))
        let second = try Command.beem("apply", classes.policy, numbers.features)
        #expect(second.exitCode == 2 && second.errors.contains("numbers to predict; expected labels"))
    }
}

/// The targets and features of a cache, read without what is under test.
private struct CacheNumbers {
    let targets: [Float]
    private let file: SafetensorsFile

    init(_ path: String) throws {
        file = try SafetensorsFile(opening: path)
        targets = try file.tensor("targets").floats()
    }

    func features(exit: Int, row: Int) -> [Float] {
        guard let tensor = file["features.\(exit)"], let values = try? tensor.floats() else { return [] }
        let width = tensor.shape[1]
        return Array(values[(row * width)..<((row + 1) * width)])
    }
}
