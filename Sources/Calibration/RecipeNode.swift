import Safetensors
import Yams

/// A value in a recipe, with the way to it, for messages that say where a mistake is.
struct RecipeNode {
    let file: String
    /// The keys from the top, for example `rule.memory`; empty at the top.
    let path: String
    let node: Node

    /// `rule.memory (line 9, column 25)`
    var item: String {
        let place = node.mark.map { "line \($0.line), column \($0.column)" }
        switch (path.isEmpty, place) {
        case (true, let place): return place ?? "the recipe"
        case (false, nil): return path
        case (false, let place?): return "\(path) (\(place))"
        }
    }

    /// What stands there, short enough for a message.
    var seen: String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : "\"\(scalar.string)\""
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// An error about this value.
    func error(_ kind: InputError.Kind = .outOfRange, expected: String, advice: String? = nil) -> InputError {
        InputError(kind, file: file, item: item, seen: seen, expected: expected, advice: advice)
    }

    /// The values of a mapping by key; keys other than those known are errors.
    func mapping(known: [String]) throws(InputError) -> RecipeMapping {
        guard case .mapping(let mapping) = node else {
            throw error(.malformed, expected: "a mapping with the keys \(known.joined(separator: ", "))")
        }
        var values: [String: RecipeNode] = [:]
        for (key, value) in mapping {
            let name = key.string ?? ""
            let child = RecipeNode(file: file, path: path.isEmpty ? name : "\(path).\(name)", node: value)
            guard known.contains(name) else {
                let nearest = nearestNames(to: name, among: known).first
                throw InputError(
                    .unknownKey, file: file, item: RecipeNode(file: file, path: child.path, node: key).item,
                    seen: "an unknown key", expected: "one of \(known.joined(separator: ", "))",
                    advice: nearest.map { "Did you mean `\($0)`?" })
            }
            values[name] = child
        }
        return RecipeMapping(parent: self, values: values)
    }

    func string() throws(InputError) -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            throw error(.malformed, expected: "a text")
        }
        return scalar.string
    }

    func number(_ expected: String, where isRight: (Double) -> Bool) throws(InputError) -> Double {
        guard case .scalar(let scalar) = node, let value = Double(scalar.string), value.isFinite, isRight(value) else {
            throw error(expected: expected)
        }
        return value
    }

    func integer(_ expected: String, where isRight: (Int) -> Bool = { _ in true }) throws(InputError) -> Int {
        guard case .scalar(let scalar) = node, let value = Int(scalar.string), isRight(value) else {
            throw error(expected: expected)
        }
        return value
    }

    /// `true` or `false`.
    func truth() throws(InputError) -> Bool { try choice([("true", true), ("false", false)]) }

    /// One of some names.
    func choice<Value>(_ choices: [(name: String, value: Value)]) throws(InputError) -> Value {
        let names = choices.map(\.name)
        guard case .scalar(let scalar) = node else {
            throw error(.malformed, expected: "one of \(names.joined(separator: ", "))")
        }
        guard let match = choices.first(where: { $0.name == scalar.string }) else {
            throw error(
                expected: "one of \(names.joined(separator: ", "))",
                advice: nearestNames(to: scalar.string, among: names).first.map { "Did you mean `\($0)`?" })
        }
        return match.value
    }

    /// The texts of a list; names of classes that look like numbers among them.
    func texts(_ expected: String) throws(InputError) -> [String] {
        guard case .sequence(let sequence) = node, !sequence.isEmpty else {
            throw error(.malformed, expected: "a list, each \(expected)")
        }
        var texts: [String] = []
        for (index, element) in sequence.enumerated() {
            texts.append(try RecipeNode(file: file, path: "\(path)[\(index)]", node: element).string())
        }
        return texts
    }

    func numbers(_ expected: String, where isRight: (Double) -> Bool) throws(InputError) -> [Double] {
        guard case .sequence(let sequence) = node, !sequence.isEmpty else {
            throw error(.malformed, expected: "a list of numbers, each \(expected)")
        }
        var values: [Double] = []
        for (index, element) in sequence.enumerated() {
            values.append(
                try RecipeNode(file: file, path: "\(path)[\(index)]", node: element).number(
                    "a number, \(expected)", where: isRight))
        }
        return values
    }
}

/// The values of a mapping in a recipe.
struct RecipeMapping {
    let parent: RecipeNode
    let values: [String: RecipeNode]

    subscript(key: String) -> RecipeNode? { values[key] }

    /// The value of a key that must be there.
    func required(_ key: String) throws(InputError) -> RecipeNode {
        guard let value = values[key] else {
            // At the top there is no place to point at: the key may stand anywhere.
            let path = parent.path.isEmpty ? key : "\(parent.path).\(key)"
            let place = parent.path.isEmpty ? nil : parent.node.mark.map { " (line \($0.line), column \($0.column))" }
            throw InputError(
                .missing, file: parent.file, item: path + (place ?? ""), seen: "no such key",
                expected: "a value for `\(path)`")
        }
        return value
    }

    /// Refuses keys that what else stands here leaves no meaning for.
    ///
    /// - Throws: `InputError` for the first that is there.
    func refuse(
        _ keys: [String], seen: String, expected: String, advice: String? = nil
    ) throws(InputError) {
        for key in keys {
            guard let node = values[key] else { continue }
            throw InputError(
                .unknownKey, file: node.file, item: node.item, seen: seen, expected: expected,
                advice: advice)
        }
    }
}
