import ExitPolicy
import Foundation
import TestSupport
import Testing

/// Policies that were written by the first version of the format, with the decisions they made then. The Python package is
/// tested on the same files, so the two runtimes are held to one record.
@Suite("Policies of version 1")
struct GoldenPolicyTests {
    static let names = ["hidden", "linear", "numbers", "patience", "per-exit", "recorded"]

    private func path(_ name: String, _ file: String) -> String {
        Repository.path("python/tests/data/\(name)/\(file)")
    }

    @Test("are read, and are version 1 still", arguments: names)
    func read(name: String) throws {
        let policy = try Policy(reading: path(name, "policy.json"))
        #expect(policy.version == 1 && policy.name == name && policy.exits.count == 4)
        #expect((policy.heads == nil) == ["patience", "recorded"].contains(name))
    }

    @Test("decide as they did when they were written, but for the last digits of scores", arguments: names)
    func decide(name: String) throws {
        let hasHeads = FileManager.default.fileExists(atPath: path(name, "heads.safetensors"))
        let folder = try TemporaryFolder()
        var arguments = [
            "apply", path(name, "policy.json"), path(name, hasHeads ? "features.safetensors" : "outputs.csv"),
        ]
        if !hasHeads {
            let confidence = name == "recorded" ? ", confidence: 'confidence_{exit}'" : ""
            let recipe = try folder.write(
                """
                name: columns
                outputs: { file: outputs.csv, columns: { target: target, label: 'label_{exit}'\(confidence) } }
                splits: { tune: 0.3, certify: 0.4, test: 0.3 }
                output: out
                """, as: "recipe.yaml")
            arguments += ["--recipe", recipe]
        }
        let apply = try Command(Command.beemPath, arguments)
        #expect(apply.exitCode == 0, "\(apply.errors)")
        let lines = apply.output.split(separator: "\n")
        let expected = try String(contentsOfFile: path(name, "decisions.csv"), encoding: .utf8).split(separator: "\n")
        #expect(lines.count == expected.count && lines.count == 401)
        for (line, other) in zip(lines, expected).dropFirst() {
            let (own, golden) = (line.split(separator: ","), other.split(separator: ","))
            // Sample, exit, and the label where it is one: a number has last digits too.
            #expect(own[..<2] == golden[..<2] && own[4] == golden[4])
            let (label, score) = (try #require(Double(own[2])), try #require(Double(own[3])))
            #expect(abs(label - Double(golden[2])!) <= (name == "numbers" ? 1e-4 : 0))
            #expect(abs(score - Double(golden[3])!) <= 1e-5)
        }
    }

    @Test("of a newer version are refused, with what to do")
    func newer() throws {
        let folder = try TemporaryFolder()
        let text = try String(contentsOfFile: path("linear", "policy.json"), encoding: .utf8)
        let file = try folder.write(text.replacing(#/"version" ?: 1/#, with: "\"version\" : 2"), as: "policy.json")
        #expect { try Policy(reading: file) } throws: { "\($0)".contains("update the one that reads it") }
    }
}
