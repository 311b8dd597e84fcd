/// The scores of every sample at every exit, with what leaving there costs and whether it is right: all that the
/// search for thresholds needs to know, whatever the rule.
public struct ScoreTable: Equatable, Sendable {
    /// [exits - 1][samples]: scores; the last exit needs none.
    public var scores: [[Double]]
    /// [exits][samples]: whether the label of the exit is right.
    public var isCorrect: [[Bool]]
    /// [samples]: whether the reference that policies are compared with is right; the final layer usually.
    public var referenceIsCorrect: [Bool]
    /// [exits]: cumulative cost up to and including each exit; positive, strictly increasing.
    public var costs: [Double]
    /// The cost of one sample without early exit, which speed-up is relative to: the final layer's, less what the checks
    /// on the way to it add, where that is known.
    public var fullCost: Double

    /// Creates a table from parts; the final layer is the reference, and its cost the full one, where none is given.
    public init(
        scores: [[Double]], isCorrect: [[Bool]], referenceIsCorrect: [Bool]? = nil, costs: [Double],
        fullCost: Double? = nil
    ) {
        precondition(!isCorrect.isEmpty && scores.count == isCorrect.count - 1, "scores for every exit but the last")
        precondition(costs.count == isCorrect.count, "a cost for every exit")
        precondition(zip(costs, costs.dropFirst()).allSatisfy(<) && costs[0] > 0, "costs are positive and increasing")
        let count = isCorrect[0].count
        precondition(isCorrect.allSatisfy { $0.count == count } && scores.allSatisfy { $0.count == count })
        precondition(referenceIsCorrect.map { $0.count == count } ?? true, "a reference for each sample")
        self.scores = scores
        self.isCorrect = isCorrect
        self.referenceIsCorrect = referenceIsCorrect ?? isCorrect[isCorrect.count - 1]
        self.costs = costs
        self.fullCost = fullCost ?? costs[costs.count - 1]
    }

    /// Scores all samples with a rule.
    ///
    /// - Parameters:
    ///   - outputs: what the exits say.
    ///   - rule: what scores it.
    ///   - costs: [exits]: cumulative; positive, strictly increasing.
    ///   - reference: the exit that policies are compared with; the final layer where none is given.
    ///   - loss: what counts as wrong.
    ///   - fullCost: the cost without early exit; the final layer's where none is given.
    /// - Complexity: O(samples * exits).
    public init(
        outputs: ExitOutputs, rule: some ExitRule, costs: [Double], reference: Int? = nil, loss: PolicyLoss = .error,
        fullCost: Double? = nil
    ) {
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
        let reference = reference ?? outputs.exitCount - 1
        let isCorrect = outputs.labels.indices.map { exit in
            loss == .error ? outputs.isCorrect(exit: exit) : outputs.isSame(exit: exit, as: reference)
        }
        self.init(
            scores: scores, isCorrect: isCorrect, referenceIsCorrect: isCorrect[reference], costs: costs,
            fullCost: fullCost)
    }

    /// How many exits there are.
    public var exitCount: Int { isCorrect.count }

    /// How many samples there are.
    public var sampleCount: Int { isCorrect[0].count }

    /// What leaving at an exit adds to `b - c` for a sample: 1 a harmful flip, -1 a helpful one, 0 none.
    @inlinable
    public func flip(exit: Int, sample: Int) -> Int8 {
        let (own, reference) = (isCorrect[exit][sample], referenceIsCorrect[sample])
        return own == reference ? 0 : own ? -1 : 1
    }

    /// [samples]: ``flip(exit:sample:)`` of all samples at an exit.
    ///
    /// - Complexity: O(samples).
    public func flips(exit: Int) -> [Int8] {
        zip(isCorrect[exit], referenceIsCorrect).map { own, reference in own == reference ? 0 : own ? -1 : 1 }
    }

    /// The rows of some samples, in the order given.
    public func selecting(_ samples: [Int]) -> ScoreTable {
        ScoreTable(
            scores: scores.map { row in samples.map { row[$0] } },
            isCorrect: isCorrect.map { row in samples.map { row[$0] } },
            referenceIsCorrect: samples.map { referenceIsCorrect[$0] }, costs: costs, fullCost: fullCost)
    }

    /// [samples]: the exit each sample takes.
    ///
    /// - Complexity: O(samples * exits).
    public func exitsTaken(_ thresholds: Thresholds) -> [Int] {
        precondition(thresholds.exitCount == exitCount, "a threshold for each exit but the last")
        return (0..<sampleCount).map { sample in thresholds.exitTaken { scores[$0][sample] } }
    }
}
