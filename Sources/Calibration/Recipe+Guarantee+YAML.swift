import ExitPolicy
import ExitRules
import RiskControl
import Safetensors

extension Recipe {
    /// Reads what a recipe says under `guarantee`.
    ///
    /// - Parameter isDual: whether the recipe asks for the smallest gap at some speed-up, so that it cannot name the gap.
    static func guarantee(_ node: RecipeNode, isDual: Bool) throws(InputError) -> Guarantee {
        let map = try node.mapping(known: [
            "allowedGap", "failureProbability", "reference", "loss", "classes", "subgroups", "maxGroupSize", "uses",
            "order",
        ])
        var guarantee = Guarantee()
        guarantee.allowedGap = try map["allowedGap"]?.number("a fraction in 0..<1") { (0..<1).contains($0) } ?? 0
        guarantee.failureProbability =
            try map["failureProbability"]?.number("a probability between 0 and 1") { $0 > 0 && $0 < 1 }
            ?? guarantee.failureProbability
        guarantee.reference = try map["reference"].map(reference) ?? .final
        guarantee.loss = try map["loss"]?.choice(PolicyLoss.allCases.map { ($0.rawValue, $0) }) ?? .error
        guarantee.parts = try parts(map)
        guarantee.maximumGroupSize = try map["maxGroupSize"]?.integer("at least 1") { $0 >= 1 }
        guarantee.uses = try map["uses"]?.integer("at least 1") { $0 >= 1 } ?? 1
        guarantee.order =
            try map["order"]?.choice(CandidateOrder.allCases.map { ($0.rawValue, $0) }) ?? guarantee.order
        if isDual { try checkDual(map) }
        if guarantee.loss == .disagreement { try checkDisagreement(guarantee, map, isDual: isDual) }
        return guarantee
    }

    private static func reference(_ node: RecipeNode) throws(InputError) -> ReferenceChoice {
        if case .scalar(let scalar) = node.node, let exit = Int(scalar.string) {
            guard exit >= 0 else { throw node.error(expected: "`final`, `best`, or the number of an exit, from 0") }
            return .exit(exit)
        }
        return try node.choice([("final", .final), ("best", .best)])
    }

    private static func parts(_ map: RecipeMapping) throws(InputError) -> PartsChoice? {
        let demands = Certificate.Parts.Demand.allCases.map { ($0.rawValue, $0) }
        if let classes = map["classes"], let subgroups = map["subgroups"] {
            throw InputError(
                .outOfRange, file: subgroups.file, item: subgroups.item, seen: "both `classes` and `subgroups`",
                expected: "one of them", advice: "The other is at \(classes.item).")
        }
        if let node = map["classes"] {
            return PartsChoice(partition: .classes, demand: try node.choice(demands))
        }
        return try map["subgroups"].map { node throws(InputError) in
            PartsChoice(partition: .subgroups, demand: try node.choice(demands))
        }
    }

    /// What cannot stand beside `search.minimumSpeedUp`.
    private static func checkDual(_ map: RecipeMapping) throws(InputError) {
        for key in ["allowedGap", "classes", "subgroups"] {
            if let node = map[key] {
                throw InputError(
                    .outOfRange, file: node.file, item: node.item, seen: "\(key) beside search.minimumSpeedUp",
                    expected: "one of the two", advice: "With minimumSpeedUp the gap of the whole is what is found.")
            }
        }
    }

    private static func checkDisagreement(
        _ guarantee: Guarantee, _ map: RecipeMapping, isDual: Bool
    ) throws(InputError) {
        guard guarantee.allowedGap > 0 || isDual else {
            throw InputError(
                .outOfRange, file: map.parent.file, item: "guarantee.allowedGap",
                seen: "an allowed rate of disagreement of 0", expected: "a positive fraction with `loss: disagreement`",
                advice: "No finite sample shows that labels never differ; 0.01 allows one in a hundred.")
        }
        if let node = map["classes"] {
            throw InputError(
                .outOfRange, file: node.file, item: node.item, seen: "classes beside `loss: disagreement`",
                expected: "one of the two",
                advice: "Classes are those of the true labels, which this loss does not use.")
        }
    }
}
