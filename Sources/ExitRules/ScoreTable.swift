/// The scores of every sample at every exit, with what leaving there costs and whether it is right: all that the
/// search for thresholds needs to know, whatever the rule.
public struct ScoreTable: Equatable, Sendable {
    /// [exits - 1][samples]: scores; the last exit needs none.
    public var scores: [[Double]]
    /// [exits][samples]: whether the label of the exit is right.
    public var isCorrect: [[Bool]]
    /// [exits]: cumulative cost up to and including each exit; positive, strictly increasing.
    public var costs: [Double]

    /// Creates a table from parts.
    public init(scores: [[Double]], isCorrect: [[Bool]], costs: [Double]) {
        precondition(!isCorrect.isEmpty && scores.count == isCorrect.count - 1, "scores for every exit but the last")
        precondition(costs.count == isCorrect.count, "a cost for every exit")
        precondition(zip(costs, costs.dropFirst()).allSatisfy(<) && costs[0] > 0, "costs are positive and increasing")
        let count = isCorrect[0].count
        precondition(isCorrect.allSatisfy { $0.count == count } && scores.allSatisfy { $0.count == count })
        self.scores = scores
        self.isCorrect = isCorrect
        self.costs = costs
    }

    /// Scores all samples with a rule.
    ///
    /// - Complexity: O(samples * exits).
    public init(outputs: ExitOutputs, rule: some ExitRule, costs: [Double]) {
        var scores: [[Double]] = []
        for exit in 0..<(outputs.exitCount - 1) {
            let row = (0..<outputs.sampleCount).map { sample in
                let previous =
                    exit == 0
                    ? nil
                    : ScoredLabel(label: outputs.labels[exit - 1][sample], score: scores[exit - 1][sample])
                return rule.score(of: outputs.prediction(exit: exit, sample: sample), at: exit, after: previous)
            }
            scores.append(row)
        }
        let isCorrect = outputs.labels.map { row in zip(row, outputs.truth).map { $0 == $1 } }
        self.init(scores: scores, isCorrect: isCorrect, costs: costs)
    }

    /// How many exits there are.
    public var exitCount: Int { isCorrect.count }

    /// How many samples there are.
    public var sampleCount: Int { isCorrect[0].count }

    /// [samples]: the exit each sample takes.
    ///
    /// - Complexity: O(samples * exits).
    public func exitsTaken(_ thresholds: Thresholds) -> [Int] {
        precondition(thresholds.exitCount == exitCount, "a threshold for each exit but the last")
        return (0..<sampleCount).map { sample in thresholds.exitTaken { scores[$0][sample] } }
    }
}
