import ExitRules

/// The error rates of all exits on all splits: what `evaluation.json` holds.
public struct ExitEvaluation: Codable, Equatable, Sendable {
    /// One exit.
    public struct Exit: Codable, Equatable, Sendable {
        /// 0-based; the last one is the final layer.
        public var index: Int
        /// What the feature cache calls it.
        public var name: String
        /// By name of the split: train, tune, certify, test.
        public var splits: [String: SplitEvaluation]
    }

    /// The exits in order.
    public var exits: [Exit]

    /// Evaluates every exit on every split given; splits without samples are left out.
    ///
    /// - Parameters:
    ///   - names: [exits]
    ///   - outputs: what the exits say, by name of the split.
    /// - Complexity: O(samples * exits).
    public init(names: [String], outputs: [String: ExitOutputs]) {
        precondition(outputs.values.allSatisfy { $0.exitCount == names.count }, "a name for each exit")
        exits = names.indices.map { index in
            let splits = outputs.filter { $0.value.sampleCount > 0 }.mapValues { SplitEvaluation($0, exit: index) }
            return Exit(index: index, name: names[index], splits: splits)
        }
    }
}
