import Foundation
import TestSupport
import Testing

@Suite("A mistake in a recipe")
struct RecipeMistakeTests {
    /// What the command says of a recipe with another last line.
    private func message(_ line: String, without key: String? = nil) throws -> String {
        let folder = try TemporaryFolder()
        let lines = [
            "name: small", "features: features.safetensors",
            "splits: { train: 0.4, tune: 0.2, certify: 0.25, test: 0.15 }", "output: out", line,
        ]
        let text = lines.filter { key == nil || !$0.hasPrefix(key!) }.joined(separator: "\n")
        let path = try folder.write(text + "\n", as: "recipe.yaml")
        let command = try Command.beem("weights", path)
        #expect(command.exitCode == 2 && command.output.isEmpty)
        #expect(command.errors.split(separator: "\n").count == 1, "\(command.errors)")
        let start = "beem: error: \(path): "
        #expect(command.errors.hasPrefix(start))
        return String(command.errors.dropFirst(start.count))
    }

    @Test(
        "is told in one line that begins with its place, and says what would be right",
        arguments: [
            ("gaurantee: {}", "gaurantee (line 5, column 1): an unknown key", "Did you mean `guarantee`?"),
            ("rule: { knd: beem }", "rule.knd (line 5, column 9): an unknown key", "Did you mean `kind`?"),
            ("rule: { kind: been }", "rule.kind (line 5, column 15): \"been\"", "Did you mean `beem`?"),
            (
                "rule: { kind: beem", "line 6, column 1: not YAML: while parsing a flow mapping in line 5, column 7",
                "bracket"
            ),
            ("rule: kind: beem", "line 5, column 11: not YAML: mapping values are not allowed", "key: { ... }"),
            ("rule:\n\tkind: beem", "line 6, column 1: not YAML: ", "Indent by spaces"),
            (
                "heads: \"linear", "line 6, column 1: not YAML: while scanning a quoted scalar in line 5, column 8",
                "quotation"
            ),
            ("name: again", "name (line 1, column 1): a key that stands here and again below", "Remove one of them."),
            ("rule: { kind: a, kind: b }", "kind (line 5, column 9): a key that stands here", "each key once"),
            ("rule: beem", "rule (line 5, column 7): \"beem\"", "a mapping with the keys kind"),
            ("rule:", "rule (line 5, column 6): nothing", "a mapping with the keys kind"),
            ("seed: seven", "seed (line 5, column 7): \"seven\"", "a whole number"),
            ("rule: { kind: beem, memory: 2 }", "rule.memory (line 5, column 29): \"2\"", "a number in 0...1"),
            ("guarantee: [1, 2]", "guarantee (line 5, column 12): a list", "a mapping with the keys allowedGap"),
            ("rule: { memory: 1 }", "rule.kind (line 5, column 7): no such key", "a value for `rule.kind`"),
            ("training: { l2: [0.1, x] }", "training.l2[1] (line 5, column 23): \"x\"", "a number, not negative"),
        ])
    func place(line: String, beginning: String, help: String) throws {
        let message = try message(line)
        #expect(message.hasPrefix(beginning), "\(message)")
        #expect(message.contains(help), "\(message)")
    }

    @Test("that is a missing key at the top has no place, but a name")
    func missing() throws {
        #expect(try message("seed: 1", without: "output") == "output: no such key; expected a value for `output`.\n")
    }

    @Test("that there is nothing in it sends to a recipe to copy, and a list is not taken for one")
    func empty() throws {
        let folder = try TemporaryFolder()
        for text in ["", "# nothing\n"] {
            let command = try Command.beem("run", folder.write(text, as: "recipe.yaml"))
            #expect(
                command.exitCode == 2
                    && command.errors.contains("nothing; expected a recipe in YAML. Begin with a copy"))
        }
        let list = try Command.beem("run", folder.write("- name: a\n", as: "list.yaml"))
        #expect(list.errors.contains("line 1, column 1: a list; expected a mapping with the keys name"))
    }
}
