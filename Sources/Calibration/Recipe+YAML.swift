import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import Safetensors
import Yams

extension Recipe {
    /// Reads a recipe. Keys that nobody knows are errors: a typing mistake must not silently mean the default.
    ///
    /// - Parameter path: the recipe's file.
    /// - Throws: `InputError` that names the key with its line and column, what stands there and what may.
    public init(reading path: String) throws(InputError) {
        let text = try String(
            readingFile: path, expected: "a recipe in YAML",
            advice: "Check the path, for example `recipes/movie-reviews/recipe.yaml`.")
        try self.init(parsing: text, file: path)
    }

    /// Reads a recipe from its text; `file` is where relative paths start, and its name in messages.
    public init(parsing text: String, file: String) throws(InputError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw InputError(yaml: error, file: file)
        }
        guard let root else {
            throw InputError(
                .malformed, file: file, seen: "nothing", expected: "a recipe in YAML",
                advice: "Begin with a copy of one, for example `recipes/movie-reviews/recipe.yaml`.")
        }
        let top = try RecipeNode(file: file, path: "", node: root).mapping(known: [
            "name", "features", "outputs", "splits", "seed", "heads", "training", "rule", "cost", "search", "guarantee",
            "output",
        ])
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        func resolve(_ path: String) -> String {
            URL(fileURLWithPath: path, relativeTo: folder).standardizedFileURL.path
        }
        self.file = file
        self.text = text
        textHash = sha256(of: Data(text.utf8))
        name = try top.required("name").string()
        data = try Self.data(top, resolve)
        splits = try Self.splits(top.required("splits"), trainsHeads: top["outputs"] == nil)
        seed = UInt64(try top["seed"]?.integer("a whole number that is not negative", where: { $0 >= 0 }) ?? 0)
        training = try Self.training(heads: top["heads"], training: top["training"])
        (rule, picksRule) = try top["rule"].map(Self.rule) ?? (RuleChoice(), false)
        (cost, check) =
            try top["cost"].map { node throws(InputError) in try Self.cost(node, resolve) } ?? (.layers, nil)
        (search, picksSearch, minimumSpeedUp, exits) = try Self.search(top["search"], picksRule: picksRule)
        let isDual = minimumSpeedUp != nil
        guarantee =
            try top["guarantee"].map { node throws(InputError) in try Self.guarantee(node, isDual: isDual) }
            ?? Guarantee()
        try Self.checkExits(exits, top, reference: guarantee.reference)
        output = resolve(try top.required("output").string())
        try checkNumbers(top)
    }

    /// Numbers have neither classes nor probabilities, and need to be told when two of them are the same.
    private func checkNumbers(_ top: RecipeMapping) throws(InputError) {
        func refuse(_ key: String, seen: String, expected: String) throws(InputError) {
            throw InputError(
                .unsupported, file: file, item: top[key]?.item ?? key, seen: seen, expected: expected,
                advice: "`loss: squared-error` predicts numbers: exits agree, and are right, within a tolerance.")
        }
        guard training.loss.kind == .squaredError else {
            if rule.tolerance != nil {
                try refuse("rule", seen: "a tolerance", expected: "none without `training: { loss: squared-error }`")
            }
            return
        }
        if picksRule || rule.kind.usesConfidence {
            try refuse("rule", seen: "a rule that needs confidences", expected: "`kind: patience` or `kind: static`")
        }
        if rule.tolerance == nil {
            try refuse("rule", seen: "no tolerance", expected: "`tolerance`: by how much numbers may differ that agree")
        }
        if guarantee.loss == .disagreement || guarantee.parts?.partition == .classes {
            try refuse(
                "guarantee", seen: "a guarantee that needs classes", expected: "one of errors, without `classes`")
        }
    }

    private static func splits(_ node: RecipeNode, trainsHeads: Bool) throws(InputError) -> SplitPlan {
        if case .scalar = node.node {
            _ = try node.choice([("stored", ())])
            return .stored
        }
        let map = try node.mapping(known: ["train", "tune", "certify", "test"])
        func fraction(_ key: String) throws(InputError) -> Double {
            try map.required(key).number("a fraction between 0 and 1") { $0 > 0 && $0 < 1 }
        }
        let tune = try fraction("tune")
        let certify = try fraction("certify")
        let test = try fraction("test")
        func checkSum(_ sum: Double, _ what: String) throws(InputError) {
            guard abs(sum - 1) <= 1e-9 else {
                throw InputError(
                    .outOfRange, file: node.file, item: node.item,
                    seen: "fractions that sum to \(String(format: "%.10g", sum))",
                    expected: "a sum of 1", advice: "The fractions are of \(what).")
            }
        }
        guard let train = trainsHeads ? try map.required("train") : map["train"] else {
            try checkSum(tune + certify + test, "all samples")
            return .fractions(train: 0, tune: tune, certify: certify, test: test)
        }
        if case .scalar(let scalar) = train.node, scalar.string == "stored" {
            try checkSum(tune + certify + test, "the samples that are not in the stored train split")
            return .storedTrain(tune: tune, certify: certify, test: test)
        }
        let part = try train.number("`stored`, or a fraction between 0 and 1") {
            $0 < 1 && ($0 > 0 || ($0 == 0 && !trainsHeads))
        }
        try checkSum(part + tune + certify + test, "all samples")
        return .fractions(train: part, tune: tune, certify: certify, test: test)
    }

    private static func rule(_ node: RecipeNode) throws(InputError) -> (RuleChoice, isAutomatic: Bool) {
        let map = try node.mapping(known: ["kind", "weights", "memory", "confidence", "restart", "tolerance"])
        var rule = RuleChoice()
        let kinds = Policy.RuleDescription.Kind.allCases.map { ($0.rawValue, Optional($0)) }
        guard let kind = try map.required("kind").choice(kinds + [("auto", nil)]) else {
            try map.refuse(
                ["weights", "memory", "confidence", "restart", "tolerance"], seen: "a setting of a rule",
                expected: "no such key with `kind: auto`, which picks it")
            return (rule, true)
        }
        rule.kind = kind
        rule.tolerance = try map["tolerance"]?.number("a number that is not negative") { $0 >= 0 }
        if rule.kind != .beem {
            try map.refuse(
                ["weights", "memory", "restart"], seen: "a setting of the rule `beem`",
                expected: "no such key with `kind: \(rule.kind.rawValue)`")
            if let node = map["confidence"], (try? node.string()) != rule.kind.confidence?.rawValue {
                throw node.error(
                    expected: rule.kind.confidence.map { "`\($0.rawValue)`, which gives the rule its name" }
                        ?? "no such key: the rule asks for no confidence")
            }
            rule.confidence = rule.kind.confidence ?? rule.confidence
            return (rule, false)
        }
        if let node = map["weights"] {
            if case .sequence = node.node {
                rule.weights = .given(try node.numbers("not negative") { $0 >= 0 })
            } else {
                let named: [ExitWeights] = [.accuracy, .cost, .logOdds, .uniform, .authorsCode]
                rule.weights = try node.choice(named.map { ($0.name, $0) })
                if rule.weights == .authorsCode { rule.restart = .zero }
            }
        }
        rule.memory = try map["memory"]?.number("a number in 0...1") { (0...1).contains($0) } ?? rule.memory
        rule.confidence =
            try map["confidence"]?.choice(ConfidenceMeasure.allCases.map { ($0.rawValue, $0) }) ?? rule.confidence
        rule.restart = try map["restart"]?.choice(BEEMRule.Restart.allCases.map { ($0.rawValue, $0) }) ?? rule.restart
        return (rule, false)
    }
}
