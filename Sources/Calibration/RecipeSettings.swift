import Yams

/// What a recipe's text says, key by key: `guarantee.allowedGap` and its like, with the value as it stands there. What it
/// leaves out has its default and is not among them.
public struct RecipeSettings: Equatable, Sendable {
    /// The values by key.
    public let values: [String: String]

    /// Reads the settings of a text that has been read as a recipe before; another text has none.
    ///
    /// - Complexity: O(text).
    public init(recipe text: String) {
        var values: [String: String] = [:]
        func collect(_ node: Node, _ path: String) {
            switch node {
            case .scalar(let scalar): values[path] = scalar.string
            case .sequence(let sequence):
                values[path] =
                    "["
                    + sequence.map { element in
                        if case .scalar(let scalar) = element { scalar.string } else { "..." }
                    }.joined(separator: ", ") + "]"
            case .mapping(let mapping):
                for (key, value) in mapping {
                    let name = key.string ?? ""
                    collect(value, path.isEmpty ? name : "\(path).\(name)")
                }
            case .alias: values[path] = "an alias"
            }
        }
        if let root = try? Yams.compose(yaml: text), case .mapping = root { collect(root, "") }
        self.values = values
    }

    /// The keys that some recipes have different values for, sorted, with the value in each; nil where it is left out.
    public static func differences(_ recipes: [RecipeSettings]) -> [(key: String, values: [String?])] {
        Set(recipes.flatMap(\.values.keys)).sorted().compactMap { key in
            let values = recipes.map { $0.values[key] }
            return values.allSatisfy { $0 == values[0] } ? nil : (key, values)
        }
    }
}
