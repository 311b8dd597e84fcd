import Foundation
import Safetensors
import TestSupport
import Testing
import Yams

@testable import Calibration

@Suite("The schema of recipes")
struct RecipeSchemaTests {
    private let schema: RecipeSchema

    init() throws { schema = try RecipeSchema() }

    @Test("has the keys that the parser knows in every mapping, and no others")
    func keys() throws {
        #expect(schema.mappings.count == 15)
        for (path, keys) in schema.mappings {
            let error = try #require(throws: InputError.self) { try parse(path, "unheard-of", "1") }
            #expect(error.kind == .unknownKey)
            #expect(Set(error.names) == Set(keys.map(\.name)), "the keys of \(path.isEmpty ? "the recipe" : path)")
        }
    }

    @Test("has a mapping wherever the parser reads one")
    func depth() throws {
        for key in schema.keys where schema.mappings[key.path] == nil {
            let error = try #require(throws: InputError.self) {
                try parse(key.parent, key.name, "{ unheard-of: 1 }")
            }
            #expect(error.item?.contains("unheard-of") != true, "\(key.path) takes a mapping that is not described")
        }
    }

    @Test("describes every key, as the documentation does")
    func descriptions() throws {
        let page = try Self.text(of: "docs/recipe.md")
        for key in schema.keys {
            #expect(key.description != nil, "\(key.path)")
            let isInTable = ["heads", "training", "rule", "search", "guarantee"].contains(key.parent)
            #expect(page.contains(isInTable ? "`\(key.path)`" : key.name), "\(key.path)")
        }
    }

    @Test("has the choices that the parser accepts, and no others")
    func choices() throws {
        for key in schema.keys {
            for choice in key.choices {
                #expect(throws: Never.self, "\(key.path): \(choice)") { try parse(key.parent, key.name, choice) }
            }
            do {
                _ = try parse(key.parent, key.name, "unheard-of")
                #expect(key.choices.isEmpty, "\(key.path) takes any text")
            } catch let error as InputError where error.expected.hasPrefix("one of ") {
                #expect(Set(error.names) == Set(key.choices), "\(key.path)")
            } catch {
                // One name beside numbers: `stored`, or `none`.
                #expect(key.choices.count <= 1, "\(key.path)")
            }
        }
    }

    @Test("has the defaults that the parser has")
    func defaults() throws {
        let keys = schema.keys.filter { $0.standard != nil }
        #expect(keys.count > 40)
        for key in keys {
            var written = try parse(key.parent, key.name, key.standard)
            let left = try parse(key.parent, key.name, nil)
            (written.text, written.textHash) = (left.text, left.textHash)
            #expect(written == left, "\(key.path): \(key.standard ?? "")")
        }
    }

    @Test("belongs to recipes that parse: those of the repository, and the examples of its pages")
    func examples() throws {
        let recipes = try Self.shippedRecipes() + Self.examples(in: "docs/recipe.md") + Self.examples(in: "README.md")
        #expect(recipes.count >= 7)
        for recipe in recipes {
            #expect(throws: Never.self, "\(recipe)") { try Recipe(parsing: recipe, file: "recipe.yaml") }
        }
    }

    @Test("accepts and refuses what the parser does", .enabled(if: Command.pythonWithJSONSchema != nil))
    func validation() throws {
        let right =
            try Self.shippedRecipes() + Self.examples(in: "docs/recipe.md") + Self.examples(in: "README.md")
            + schema.keys.flatMap { key in
                (key.choices + [key.standard].compactMap { $0 }).map { Self.recipe(key.parent, key.name, $0) }
            }
        let wrong = Self.wrongLines.map { Self.recipe("", $0.key, $0.value) }
        for recipe in wrong {
            #expect(throws: InputError.self, "\(recipe)") { try Recipe(parsing: recipe, file: "recipe.yaml") }
        }
        let folder = try TemporaryFolder()
        let either = neighbours.map { ($0, (try? Recipe(parsing: $0, file: "recipe.yaml")) != nil) }
        #expect(either.contains { $0.1 } && either.contains { !$0.1 })
        let verdicts = right.map { ($0, true) } + wrong.map { ($0, false) } + either
        let cases = try verdicts.map { recipe, isRight -> [String: Any] in
            let node = try #require(try Yams.compose(yaml: recipe))
            return ["text": recipe, "recipe": Self.json(of: node), "isRight": isRight]
        }
        let file = try folder.write(JSONSerialization.data(withJSONObject: cases), as: "cases.json")
        let python = try #require(Command.pythonWithJSONSchema)
        let result = try Command(python, ["-c", Self.validator, RecipeSchema.path, file])
        #expect(result.errors == "" && result.exitCode == 0)
        #expect(result.output == "\(cases.count) cases\n", "what follows is where schema and parser differ")
    }

    /// Every key of a section beside every choice that may leave it without a meaning.
    private var neighbours: [String] {
        let selectors = ["heads.kind", "training.optimizer", "training.loss", "rule.kind", "search.thresholds"]
        var settings = schema.keys.filter { selectors.contains($0.path) }.flatMap { key in
            key.choices.map { (section: key.parent, text: "\(key.name): \($0)") }
        }
        settings.append((section: "search", text: "thresholds: per-exit, method: grid"))
        return settings.flatMap { section, text in
            schema.keys.filter { $0.parent == section && !text.contains("\($0.name): ") }.compactMap { key in
                // Whether numbers are predicted is said in one section and asked for in another.
                if key.path == "rule.tolerance" || text == "loss: squared-error" { return nil }
                return Self.recipe("", section, "{ \(text), \(key.name): \(key.standard ?? "1") }")
            }
        }
    }

    /// Prints the cases on which the schema's verdict is not the one expected, and how many there were.
    private static let validator = """
        import json, sys
        from jsonschema import Draft202012Validator
        schema = json.load(open(sys.argv[1]))
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        cases = json.load(open(sys.argv[2]))
        for case in cases:
            if validator.is_valid(case["recipe"]) != case["isRight"]:
                print("expected", "right" if case["isRight"] else "wrong", repr(case["text"]))
        print(len(cases), "cases")
        """

    /// Mistakes that schema and parser both see.
    private static let wrongLines: [(key: String, value: String)] = [
        ("seed", "-1"), ("seed", "many"), ("seed", "1.5"), ("seeds", "1"),
        ("splits", "drawn"), ("splits", "{ tune: 0.3, certify: 0.4, test: 0.3 }"),
        ("splits", "{ train: 0, tune: 1, certify: 0, test: 0 }"), ("outputs", "{ file: t.csv, class: [a] }"),
        ("outputs", "{ columns: { label: l } }"), ("outputs", "{ file: t.csv, classes: [a, a] }"),
        ("outputs", "{ file: t.csv, columns: { truth: t } }"), ("features", "[a, b]"), ("name", "[]"),
        ("heads", "{ kind: linear, width: 3 }"), ("heads", "{ width: 3 }"), ("heads", "{ kind: hidden, dropout: 1 }"),
        ("heads", "{ kind: hidden, layerNorm: 1 }"), ("heads", "{ kind: hidden, activation: gelo }"),
        ("training", "{ l2: [] }"), ("training", "{ l2: -1 }"), ("training", "{ optimizer: lbfgs, epochs: 3 }"),
        ("training", "{ optimizer: adamw, momentum: 0.9 }"), ("training", "{ optimizer: adamw, tolerance: 1 }"),
        ("training", "{ optimizer: sgd, maximumEvaluations: 9 }"), ("training", "{ temperature: 2 }"),
        ("training", "{ optimizer: adamw, patience: 0 }"), ("training", "{ optimizer: adamw, batchSize: 0 }"),
        ("training", "{ loss: squared-error, labelSmoothing: 0.1 }"), ("training", "{ classWeights: [1, -1] }"),
        ("training", "{ labelSmoothing: 1 }"), ("training", "{ optimizer: adamw, maximumNorm: 0 }"),
        ("rule", "{ kind: bem }"), ("rule", "{ memory: 0.5 }"), ("rule", "{ kind: beem, memory: 1.5 }"),
        ("rule", "{ kind: beem, weights: [1, -1] }"), ("rule", "{ kind: max-probability, memory: 1 }"),
        ("rule", "{ kind: margin, confidence: entropy }"), ("rule", "{ kind: patience, confidence: margin }"),
        ("rule", "{ kind: auto, memory: 1 }"), ("rule", "{ kind: auto, tolerance: 1 }"),
        ("cost", "watts"), ("cost", "[0, 1]"), ("cost", "[]"), ("cost", "{}"),
        ("cost", "{ flops: { width: 8, feedForward: 9, tokens: 0 } }"), ("cost", "{ timings: { file: t.csv } }"),
        ("cost", "{ timings: { column: t }, batches: { file: b.csv, size: 2 } }"),
        ("cost", "{ timings: { column: t, statistic: mode } }"), ("cost", "{ batches: { file: b.csv, size: 0 } }"),
        ("search", "{ thresholds: single, starts: 3 }"), ("search", "{ thresholds: curve, bend: 1 }"),
        ("search", "{ thresholds: per-exit, share: 0.5 }"), ("search", "{ thresholds: per-exit, values: 3 }"),
        ("search", "{ thresholds: per-exit, method: grid, starts: 3 }"), ("search", "{ minimumSpeedUp: 0.5 }"),
        ("search", "{ thresholds: shrunk, share: 2 }"), ("search", "{ slope: 1 }"),
        ("search", "{ exits: best }"), ("search", "{ exits: [-1] }"), ("search", "{ exits: [] }"),
        ("search", "{ exits: [2, 2] }"), ("search", "{ exits: [0.5] }"),
        ("search", "{ exits: choose, minimumSpeedUp: 2 }"),
        ("search", "{ exits: choose }\nguarantee: { reference: 1 }"),
        ("search", "{ exits: [1] }\nguarantee: { reference: best }"),
        ("cost", "{ layers: {} }"), ("cost", "{ layers: { check: -1 } }"), ("cost", "{ list: { check: 1 } }"),
        ("cost", "{ list: { cumulative: [1, 0] } }"), ("cost", "{ layers: { check: 1 }, list: { cumulative: [1] } }"),
        ("guarantee", "{ allowedGap: 1 }"), ("guarantee", "{ failureProbability: 0 }"),
        ("guarantee", "{ reference: -1 }"), ("guarantee", "{ reference: first }"),
        ("guarantee", "{ classes: all, subgroups: each }"), ("guarantee", "{ uses: 0 }"),
        ("guarantee", "{ order: any }"),
        ("guarantee", "{ loss: disagreement, allowedGap: 0 }"),
        ("guarantee", "{ loss: disagreement, allowedGap: 0.1, classes: all }"),
        ("search", "{ minimumSpeedUp: 2 }\nguarantee: { allowedGap: 0.1 }"),
        ("search", "{ minimumSpeedUp: 2 }\nguarantee: { classes: all }"),
        ("heads", "{ kind: hidden }\ntraining: { optimizer: lbfgs }"),
        ("heads", "{ kind: hidden }\ntraining: { momentum: 0.9 }"),
        ("heads", "{ kind: linear }\ntraining: { loss: joint, teacher: together }"),
        ("outputs", "o.csv\nfeatures: f.safetensors"), ("outputs", "o.csv\nheads: { kind: linear }"),
        ("outputs", "o.csv\ntraining: { l2: 1 }"),
    ]
}

// MARK: - Recipes for one key

extension RecipeSchemaTests {
    private func parse(_ parent: String, _ key: String, _ value: String?) throws -> Recipe {
        try Recipe(parsing: Self.recipe(parent, key, value), file: "recipes/small/recipe.yaml")
    }

    /// A recipe that says one thing beside what it must; with nil, that without this thing.
    fileprivate static func recipe(_ parent: String, _ key: String, _ value: String?) -> String {
        var lines = [
            "name": "small", "features": "f.safetensors", "output": "out",
            "splits": "{ train: 0.5, tune: 0.2, certify: 0.2, test: 0.1 }",
        ]
        let path = parent.split(separator: ".").map(String.init)
        if (path.first ?? key) == "outputs" { lines["features"] = nil }
        let siblings = company(of: parent.isEmpty ? key : "\(parent).\(key)", value)
        if path.isEmpty {
            lines[key] = value
        } else {
            var entry = (siblings + (value.map { ["\(key): \($0)"] } ?? [])).joined(separator: ", ")
            for name in path.dropFirst().reversed() {
                entry = (path[0] == "outputs" ? "file: t.csv, " : "") + "\(name): { \(entry) }"
            }
            lines[path[0]] = entry.isEmpty ? nil : "{ \(entry) }"
        }
        if parent == "training", value == "squared-error" { lines["rule"] = "{ kind: patience, tolerance: 1 }" }
        return lines.sorted { $0.key < $1.key }.map { "\($0): \($1)" }.joined(separator: "\n") + "\n"
    }

    /// What must stand beside a key in its mapping for it to mean something.
    private static func company(of path: String, _ value: String?) -> [String] {
        switch path {
        case "splits.train": ["tune: 0.3", "certify: 0.4", "test: 0.3"]
        case "outputs.classes": ["file: t.csv"]
        case "heads.width", "heads.activation", "heads.dropout", "heads.layerNorm": ["kind: hidden"]
        case "training.temperature", "training.teacher": ["loss: joint", "optimizer: adamw"]
        case "training.learningRate", "training.schedule", "training.warmup", "training.maximumNorm",
            "training.epochs", "training.batchSize", "training.patience":
            ["optimizer: adamw"]
        case "training.momentum", "training.nesterov": ["optimizer: sgd"]
        case "rule.weights", "rule.memory", "rule.confidence", "rule.restart", "rule.tolerance": ["kind: beem"]
        case "search.slope": ["thresholds: curve"]
        case "search.bend": ["thresholds: curve", "slope: 1"]
        case "search.share": ["thresholds: shrunk"]
        case "search.method", "search.starts", "search.moves": ["thresholds: per-exit"]
        case "search.values": ["thresholds: per-exit", "method: grid"]
        case "guarantee.loss" where value == "disagreement": ["allowedGap: 0.1"]
        case "cost.list.check": ["cumulative: [1, 2]"]
        case "cost.timings.check", "cost.timings.file", "cost.timings.exit", "cost.timings.statistic",
            "cost.timings.increments":
            ["column: t"]
        default: []
        }
    }
}

// MARK: - Recipes of the repository

extension RecipeSchemaTests {
    private static func text(of path: String) throws -> String {
        try String(contentsOfFile: Repository.path(path), encoding: .utf8)
    }

    private static func shippedRecipes() throws -> [String] {
        try ["movie-reviews", "trec-questions"].map { try text(of: "recipes/\($0)/recipe.yaml") }
    }

    /// The YAML of a page, block by block and, where the page lists costs, line by line; with the keys a recipe needs.
    private static func examples(in page: String) throws -> [String] {
        let text = try text(of: page)
        let blocks = text.matches(of: /```yaml\n(?<yaml>(?s).*?)```/).map { String($0.output.yaml) }
        let costs = text.matches(of: /(?m)^- `(?<yaml>cost: .*)`:/).map { String($0.output.yaml) + "\n" }
        return (blocks + costs).map { example in
            let keys = Set(example.matches(of: /(?m)^(?<key>\w+):/).map { String($0.output.key) })
            let others = [
                ("name", "example"), (keys.contains("outputs") ? "outputs" : "features", "f.safetensors"),
                ("splits", "stored"), ("output", "out"),
            ]
            return example + others.filter { !keys.contains($0.0) }.map { "\($0.0): \($0.1)\n" }.joined()
        }
    }

    /// A recipe as an editor sees it: in YAML 1.2, plain numbers are numbers.
    private static func json(of node: Node) -> Any {
        switch node {
        case .mapping(let mapping):
            Dictionary(uniqueKeysWithValues: mapping.map { ($0.key.string ?? "", json(of: $0.value)) })
        case .sequence(let sequence): sequence.map(json(of:))
        case .scalar(let scalar) where scalar.style != .plain: scalar.string
        case .scalar(let scalar):
            Int(scalar.string) as Any? ?? Double(scalar.string) as Any? ?? Bool(scalar.string) as Any? ?? scalar.string
        case .alias: "an alias"
        }
    }
}

extension InputError {
    /// The names it lists as possible.
    fileprivate var names: [String] {
        expected.replacingOccurrences(of: "one of ", with: "").components(separatedBy: ", ")
    }
}

/// `schema/recipe.schema.json` as far as tests look into it: which mapping has which keys, and what may stand there.
private struct RecipeSchema {
    static let path = Repository.path("schema/recipe.schema.json")

    /// A key of a mapping.
    struct Key {
        /// The mapping, for example `cost.timings`; "" for the recipe itself.
        let parent: String
        let name: String
        let description: String?
        /// The names that may stand there.
        let choices: [String]
        /// The default, as a recipe would say it.
        let standard: String?

        var path: String { parent.isEmpty ? name : "\(parent).\(name)" }
    }

    /// The keys of every mapping, by its path.
    private(set) var mappings: [String: [Key]] = [:]
    private let definitions: [String: [String: Any]]

    /// All keys, in a fixed order.
    var keys: [Key] { mappings.values.flatMap { $0 }.sorted { $0.path < $1.path } }

    init() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: Self.path))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        definitions = try #require(root["$defs"] as? [String: [String: Any]])
        try collect(root, at: "")
    }

    private mutating func collect(_ mapping: [String: Any], at path: String) throws {
        #expect(mapping["additionalProperties"] as? Bool == false, "\(path) refuses unknown keys")
        let properties = try #require(mapping["properties"] as? [String: [String: Any]])
        mappings[path] = []
        for (name, schema) in properties {
            let ways = ways(of: schema)
            let key = Key(
                parent: path, name: name, description: ways.lazy.compactMap { $0["description"] as? String }.first,
                choices: ways.flatMap(Self.choices),
                standard: try schema["default"].map {
                    String(
                        decoding: try JSONSerialization.data(withJSONObject: $0, options: .fragmentsAllowed),
                        as: UTF8.self)
                })
            mappings[path]?.append(key)
            for way in ways where way["properties"] != nil { try collect(way, at: key.path) }
        }
    }

    /// A schema, and those it refers to or lists.
    private func ways(of schema: [String: Any]) -> [[String: Any]] {
        let referred = (schema["$ref"] as? String).flatMap { definitions[$0.replacing("#/$defs/", with: "")] }
        let listed = schema["anyOf"] as? [[String: Any]] ?? []
        return [schema] + ((referred.map { [$0] } ?? []) + listed).flatMap(ways)
    }

    private static func choices(of schema: [String: Any]) -> [String] {
        if schema["type"] as? String == "boolean" { return ["true", "false"] }
        return schema["enum"] as? [String] ?? (schema["const"] as? String).map { [$0] } ?? []
    }
}
