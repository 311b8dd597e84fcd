import Safetensors
import ThresholdOptimizer

extension Recipe {
    /// Reads what a recipe says under `search`.
    ///
    /// - Parameter picksRule: whether the rule is picked: then the family of thresholds is too, unless it is named.
    static func search(
        _ node: RecipeNode?, picksRule: Bool
    ) throws(InputError) -> (SearchChoice, isPicked: Bool, minimumSpeedUp: Double?, ExitChoice) {
        guard let node else { return (.single, picksRule, nil, .all) }
        let map = try node.mapping(known: allSearchKeys + ["thresholds", "minimumSpeedUp", "exits"])
        let minimumSpeedUp = try map["minimumSpeedUp"]?.number("a number of at least 1") { $0 >= 1 }
        let isPicked = picksRule && allSearchKeys.allSatisfy { map[$0] == nil } && map["thresholds"] == nil
        return (try thresholds(map), isPicked, minimumSpeedUp, try exits(map))
    }

    /// Reads which exits are offered.
    private static func exits(_ map: RecipeMapping) throws(InputError) -> ExitChoice {
        guard let node = map["exits"] else { return .all }
        guard case .sequence = node.node else { return try node.choice([("all", .all), ("choose", .choose)]) }
        let exits = try node.numbers("an exit from 0") { $0 >= 0 && $0 == $0.rounded() && $0 < 1e6 }.map { Int($0) }
        guard zip(exits, exits.dropFirst()).allSatisfy(<) else {
            throw node.error(expected: "rising numbers of exits, from 0; the final layer is always offered")
        }
        return .given(exits)
    }

    /// What cannot stand beside a choice of exits.
    static func checkExits(_ exits: ExitChoice, _ top: RecipeMapping, reference: ReferenceChoice) throws(InputError) {
        func refuse(_ key: String, _ part: String, expected: String, advice: String) throws(InputError) {
            guard case .mapping(let mapping) = top[part]?.node,
                let value = mapping.first(where: { $0.key.string == key })
            else { return }
            throw RecipeNode(file: top.parent.file, path: "\(part).\(key)", node: value.value).error(
                expected: expected, advice: advice)
        }
        if exits != .all, reference != .final {
            try refuse(
                "reference", "guarantee", expected: "`final` where exits are chosen",
                advice: "Another exit may be one that is not offered.")
        }
        if exits == .choose {
            try refuse(
                "minimumSpeedUp", "search",
                expected: "no such key with `exits: choose`, which seeks the highest speed-up",
                advice: "Name the exits instead: `exits: [2, 5, 8]`.")
        }
    }

    private static let allSearchKeys = ["method", "starts", "moves", "values", "slope", "bend", "share"]

    private static func thresholds(_ map: RecipeMapping) throws(InputError) -> SearchChoice {
        enum Family { case single, curve, shrunk, perExit }
        let families: [(name: String, value: Family)] = [
            ("single", .single), ("curve", .curve), ("shrunk", .shrunk), ("per-exit", .perExit),
        ]
        func allow(_ keys: [String], with setting: String) throws(InputError) {
            for key in allSearchKeys where !keys.contains(key) {
                if let node = map[key] {
                    throw InputError(
                        .unknownKey, file: node.file, item: node.item, seen: "a setting of another search",
                        expected: "no such key with `\(setting)`")
                }
            }
        }
        func starts() throws(InputError) -> Int { try map["starts"]?.integer("not negative") { $0 >= 0 } ?? 8 }
        func moves() throws(InputError) -> CoordinateSearch.Moves {
            try map["moves"]?.choice([("single", .single), ("pairs", .pairs)]) ?? .single
        }
        func anyNumber(_ key: String) throws(InputError) -> Double? { try map[key]?.number("a number") { _ in true } }
        switch try map["thresholds"]?.choice(families) ?? .single {
        case .single:
            try allow([], with: "thresholds: single")
            return .single
        case .curve:
            try allow(["slope", "bend"], with: "thresholds: curve")
            let (slope, bend) = (try anyNumber("slope"), try anyNumber("bend"))
            guard let slope else {
                if let node = map["bend"] { throw node.error(expected: "a `slope` beside it") }
                return .curve(nil)
            }
            return .curve(DepthCurve(slope: slope, bend: bend ?? 0))
        case .shrunk:
            try allow(["share", "starts", "moves"], with: "thresholds: shrunk")
            let share = try map["share"]?.number("a share in 0...1") { (0...1).contains($0) }
            return .shrunk(share: share ?? 0.5, starts: try starts(), moves: try moves())
        case .perExit:
            let usesGrid: Bool? = try map["method"]?.choice([("coordinate", false), ("grid", true)])
            if usesGrid ?? false {
                try allow(["method", "values"], with: "method: grid")
                return .perExitGrid(values: try map["values"]?.integer("at least 1") { $0 > 0 } ?? 8)
            }
            try allow(["method", "starts", "moves"], with: "method: coordinate")
            return .perExitCoordinate(starts: try starts(), moves: try moves())
        }
    }
}
