import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import beem

@Suite("Help")
struct HelpTests {
    /// Every command with the words that lead to it, and what its help says beside the options.
    static let commands = all(Beem.self, path: [])

    private static func all(_ command: any ParsableCommand.Type, path: [String]) -> [(path: [String], text: String)] {
        [(path, command.configuration.discussion)]
            + command.configuration.subcommands.flatMap { all($0, path: path + [$0._commandName]) }
    }

    @Test("has an example for every command, which the command understands")
    func examples() throws {
        #expect(Self.commands.count >= 20)
        for (path, text) in Self.commands {
            let examples = text.split(separator: "\n").filter { $0.hasPrefix("Example: beem ") }
            #expect(!examples.isEmpty, "beem \(path.joined(separator: " "))")
            for example in examples {
                let words = example.split(separator: " ").dropFirst(2).map(String.init)
                #expect(Array(words.prefix(path.count)) == path)
                #expect(throws: Never.self, "\(example)") { try Beem.parseAsRoot(words) }
            }
        }
    }

    @Test("is printed with its example")
    func printed() throws {
        for (path, _) in Self.commands {
            let help = try Command(Command.beemPath, path + ["--help"])
            #expect(help.exitCode == 0 && help.output.contains("Example: beem"), "\(path)")
        }
    }

    @Test("names --json and --quiet for every command that does something")
    func printing() throws {
        for (path, _) in Self.commands where ![[], ["features"]].contains(path) {
            let help = try Command(Command.beemPath, path + ["--help"]).output
            #expect(help.contains("--json") && help.contains("--quiet"), "\(path)")
        }
    }

    @Test("names splits as people do")
    func splits() throws {
        let help = try Command.beem("apply", "--help").output.split(whereSeparator: \.isWhitespace).joined(
            separator: " ")
        #expect(help.contains("(values: train, tune, certify, test)"))
    }
}

@Suite("Completions")
struct CompletionTests {
    @Test("are generated for every shell", arguments: ["bash", "zsh", "fish"])
    func shells(shell: String) throws {
        let script = try Command.beem("--generate-completion-script", shell)
        #expect(script.exitCode == 0 && script.errors.isEmpty)
        // Every command is in it, and recipes and policies complete with their own endings.
        for (path, _) in HelpTests.commands { for word in path { #expect(script.output.contains(word)) } }
        for ending in ["yaml", "json", "safetensors", "csv"] { #expect(script.output.contains(ending)) }
    }

    @Test("for bash are understood by bash, and complete files with the right endings")
    func bash() throws {
        let folder = try TemporaryFolder()
        let script = try folder.write(Command.beem("--generate-completion-script", "bash").output, as: "beem.bash")
        #expect(try Command("/usr/bin/env", ["bash", "-n", script]).exitCode == 0)
        for name in ["recipe.yaml", "policy.json", "cache.safetensors", "shards.index.json", "notes.txt"] {
            try folder.write("", as: name)
        }
        func completions(_ words: String...) throws -> [String] {
            let list = (["beem"] + words).map { "'\($0)'" }.joined(separator: " ")
            let command = try Command(
                "/usr/bin/env",
                [
                    "bash", "-c",
                    """
                    cd '\(folder.path)'; source beem.bash
                    COMP_WORDS=(\(list)); COMP_CWORD=\(words.count); COMP_LINE="${COMP_WORDS[*]}"
                    COMP_POINT=${#COMP_LINE}
                    _beem beem "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
                    printf '%s\\n' "${COMPREPLY[@]}"
                    """,
                ])
            return command.output.split(separator: "\n").map(String.init).sorted()
        }
        #expect(try completions("run", "rec") == ["recipe.yaml"])
        #expect(try completions("run", "pol").isEmpty)
        #expect(try completions("apply", "p") == ["policy.json"])
        #expect(try completions("apply", "policy.json", "c") == ["cache.safetensors"])
        #expect(try completions("features", "inspect", "") == ["cache.safetensors", "shards.index.json"])
        #expect(try completions("frontier", "--split", "t") == ["test", "train", "tune"])
        #expect(try completions("doc") == ["doctor"])
    }
}
