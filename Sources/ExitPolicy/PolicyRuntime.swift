import ExitRules

/// What a policy needs at every step of a sample: the one place where a prediction becomes a score and a decision in
/// serving code.
struct PolicyRuntime: Sendable {
    private let rule: any ExitRule
    private let thresholds: Thresholds
    let costs: [Double]
    /// By how much numbers may differ that count as the same; nil for classes.
    private let tolerance: Double?

    /// What is remembered of a sample from one exit to the next.
    struct Memory: Sendable {
        fileprivate var previous: ScoredLabel?
        fileprivate var previousNumber: (value: Float, label: Int32)?
    }

    init(_ policy: Policy) {
        rule = policy.exitRule
        thresholds = policy.thresholds
        costs = policy.costs
        tolerance = policy.rule.tolerance
    }

    /// Takes what an exit says.
    ///
    /// - Returns: the decision where the sample leaves; nil where it goes on.
    func step(_ prediction: Prediction, at exit: Int, memory: inout Memory) -> ExitDecision? {
        let score = rule.score(of: prediction, at: exit, after: memory.previous)
        memory.previous = ScoredLabel(label: prediction.label, score: score)
        guard thresholds.releases(score: score, at: exit) else { return nil }
        return ExitDecision(exit: exit, label: prediction.label, score: score, cost: costs[exit])
    }

    /// Takes the number that an exit predicts, under a policy for numbers.
    func step(number: Float, at exit: Int, memory: inout Memory) -> ExitDecision? {
        guard let tolerance else { preconditionFailure("a policy with a tolerance, for numbers") }
        let label = PredictedNumbers.label(of: number, after: memory.previousNumber, tolerance: tolerance)
        memory.previousNumber = (number, label)
        var decision = step(Prediction(label: label, confidence: 0), at: exit, memory: &memory)
        decision?.number = number
        return decision
    }
}
