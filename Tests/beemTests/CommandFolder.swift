import Foundation
import TestSupport
import Testing

/// A folder with a recipe, its features and, once it was run, its output.
struct CommandFolder {
    let folder: TemporaryFolder

    init(cache: SyntheticCache = SyntheticCache(), guarantee: String = "", extra: String = "") throws {
        folder = try TemporaryFolder()
        try cache.write(to: features)
        try writeRecipe(guarantee: guarantee, extra: extra)
    }

    func writeRecipe(guarantee: String = "", extra: String = "") throws {
        try folder.write(
            """
            name: synthetic
            features: features.safetensors
            splits: { train: 0.4, tune: 0.2, certify: 0.25, test: 0.15 }
            seed: 3
            output: out
            guarantee: { \(guarantee) }
            \(extra)
            """, as: "recipe.yaml")
    }

    var recipe: String { folder.file("recipe.yaml") }
    var features: String { folder.file("features.safetensors") }
    var policy: String { folder.file("out/policy.json") }
    var log: String { folder.file("certify-log.jsonl") }

    func logLines() throws -> [String] {
        try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
}

/// What a command printed, as a JSON object.
func jsonObject(_ command: Command) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any])
}
