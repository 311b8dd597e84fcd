import ExitRules
import FeatureCache
import Safetensors
import Yams

extension Recipe {
    /// Reads `features` or `outputs`; exactly one of them is there.
    static func data(
        _ top: RecipeMapping, _ resolve: (String) -> String
    ) throws(InputError) -> DataChoice {
        guard let node = top["outputs"] else {
            guard let features = top["features"] else {
                throw InputError(
                    .missing, file: top.parent.file, item: "features", seen: "no such key",
                    expected: "`features` of a backbone, or `outputs` of exits that were trained elsewhere")
            }
            return .features(resolve(try features.string()))
        }
        for key in ["features", "heads", "training"] {
            if let other = top[key] {
                throw InputError(
                    .outOfRange, file: other.file, item: other.item, seen: "\(key) beside `outputs`",
                    expected: "one of the two", advice: "With `outputs` there are no heads to train.")
            }
        }
        if case .scalar = node.node { return .outputs(OutputsChoice(file: resolve(try node.string()))) }
        let map = try node.mapping(known: ["file", "columns", "classes"])
        var choice = OutputsChoice(file: resolve(try map.required("file").string()))
        if !choice.isTable {
            try map.refuse(
                ["columns", "classes"], seen: "a setting of tables",
                expected: "no such key with safetensors, which name everything",
                advice: "Tables end in .csv or .tsv.")
        }
        if let columns = map["columns"] { choice.columns = try self.columns(columns) }
        if let classes = map["classes"] {
            let names = try classes.texts("a name")
            guard Set(names).count == names.count else {
                throw classes.error(expected: "different names")
            }
            choice.classes = names
        }
        return .outputs(choice)
    }

    private static func columns(_ node: RecipeNode) throws(InputError) -> OutputColumns {
        let measures: [(key: String, measure: ConfidenceMeasure)] = [
            ("confidence", .maxProbability), ("margin", .margin), ("entropy", .entropy),
        ]
        let map = try node.mapping(
            known: ["sample", "exit", "target", "label", "split", "group", "subgroup"] + measures.map(\.key))
        var columns = OutputColumns()
        func name(_ key: String) throws(InputError) -> String? { try map[key]?.string() }
        columns.sample = try name("sample") ?? columns.sample
        columns.exit = try name("exit") ?? columns.exit
        columns.target = try name("target") ?? columns.target
        columns.label = try name("label") ?? columns.label
        columns.split = try name("split")
        columns.group = try name("group")
        columns.subgroup = try name("subgroup")
        for (key, measure) in measures {
            if let name = try name(key) {
                columns.confidences = (columns.confidences ?? [:]).merging([measure: name]) { $1 }
            }
        }
        if columns.isWide {
            try map.refuse(
                ["sample", "exit"], seen: "a column of the long form",
                expected: "no such key where `label` is a pattern with \(OutputColumns.placeholder)")
        }
        return columns
    }

    /// Reads what a recipe says under `cost`, and what it says there of checks.
    static func cost(
        _ node: RecipeNode, _ resolve: (String) -> String
    ) throws(InputError) -> (CostChoice, CheckChoice?) {
        switch node.node {
        case .scalar:
            _ = try node.choice([("layers", ())])
            return (.layers, nil)
        case .sequence: return (.list(try costs(node)), nil)
        default: break
        }
        let kinds = ["layers", "list", "flops", "timings", "batches"]
        let map = try node.mapping(known: kinds)
        let given = kinds.compactMap { kind in map[kind].map { (kind, $0) } }
        guard let (kind, child) = given.first, given.count == 1 else {
            throw node.error(
                .malformed, expected: "one of \(kinds.map { "`\($0)`" }.joined(separator: ", "))")
        }
        switch kind {
        case "layers": return (.layers, try check(child.mapping(known: ["check"]).required("check")))
        case "list":
            let map = try child.mapping(known: ["cumulative", "check"])
            return (.list(try costs(map.required("cumulative"))), try map["check"].map(check))
        case "flops": return (.flops(try flops(child)), nil)
        case "timings": return (.timings(try timings(child, resolve)), nil)
        default:
            let map = try child.mapping(known: ["file", "size"])
            return (
                .batches(
                    BatchesChoice(
                        file: resolve(try map.required("file").string()),
                        size: try map.required("size").integer("at least 1") { $0 >= 1 })), nil
            )
        }
    }

    /// What the check of an exit costs: a number for all exits, or one for each.
    private static func check(_ node: RecipeNode) throws(InputError) -> CheckChoice {
        if case .sequence = node.node { return .list(try node.numbers("not negative") { $0 >= 0 }) }
        return .each(try node.number("a number that is not negative, or one for each exit") { $0 >= 0 })
    }

    private static func costs(_ node: RecipeNode) throws(InputError) -> [Double] {
        let costs = try node.numbers("positive") { $0 > 0 }
        guard zip(costs, costs.dropFirst()).allSatisfy(<) else {
            throw InputError(
                .outOfRange, file: node.file, item: node.item, seen: "costs that do not increase",
                expected: "cumulative costs, strictly increasing",
                advice: "A cost counts everything up to and including its exit.")
        }
        return costs
    }

    private static func flops(_ node: RecipeNode) throws(InputError) -> FlopsChoice {
        let map = try node.mapping(known: ["width", "feedForward", "tokens", "headWidth", "layers"])
        let layers = try map["layers"].map { node throws(InputError) in
            let numbers = try node.numbers("a layer from 1") { $0 >= 1 && $0 == $0.rounded() && $0 < 1e6 }.map {
                Int($0)
            }
            guard zip(numbers, numbers.dropFirst()).allSatisfy(<) else {
                throw node.error(expected: "the layers of the exits, rising")
            }
            return numbers
        }
        return FlopsChoice(
            width: try map.required("width").integer("at least 1") { $0 >= 1 },
            feedForward: try map.required("feedForward").integer("at least 1") { $0 >= 1 },
            tokens: try map.required("tokens").number("a number of at least 1") { $0 >= 1 },
            headWidth: try map["headWidth"]?.integer("at least 1") { $0 >= 1 }, layers: layers)
    }

    private static func timings(
        _ node: RecipeNode, _ resolve: (String) -> String
    ) throws(InputError) -> TimingsChoice {
        let map = try node.mapping(known: ["file", "column", "exit", "check", "statistic", "increments"])
        var choice = TimingsChoice(
            file: try map["file"].map { node throws(InputError) in resolve(try node.string()) },
            column: try map.required("column").string())
        choice.exit = try map["exit"]?.string()
        if let node = map["check"] {
            let check = try node.string()
            guard check.contains(OutputColumns.placeholder) == choice.column.contains(OutputColumns.placeholder) else {
                throw node.error(
                    expected:
                        "named as `column` is: a pattern with \(OutputColumns.placeholder), or one column for all exits"
                )
            }
            choice.check = check
        }
        choice.statistic =
            try map["statistic"]?.choice(TimingsChoice.Statistic.allCases.map { ($0.rawValue, $0) }) ?? choice.statistic
        choice.areIncrements = try map["increments"]?.truth() ?? false
        return choice
    }
}
