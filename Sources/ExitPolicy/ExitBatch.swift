import ExitRules

/// A batch of samples on its way through the exits: who leaves, and who goes on.
///
/// Each sample is decided as by an ``ExitSession`` of its own; a batch says, exit after exit, which of its rows are left, so that
/// the network's states can be regrouped and the work shrinks with them.
///
/// ```swift
/// var batch = ExitBatch(policy, count: states.count)
/// for (exit, layer) in layers.enumerated() {
///     states = layer(states)                                             // one for each row that is left
///     let goingOn = batch.observe(states.map { prediction(heads[exit], $0) })
///     if goingOn.isEmpty { break }
///     states = goingOn.map { states[$0] }
/// }
/// let labels = batch.decisions.map { $0!.label }
/// ```
public struct ExitBatch: Sendable {
    private let runtime: PolicyRuntime
    private var memories: [PolicyRuntime.Memory]
    private var nextExit = 0
    /// The samples that have not left, ascending.
    public private(set) var active: [Int]
    /// [samples]: where each sample left, and with which answer; nil for those that go on.
    public private(set) var decisions: [ExitDecision?]

    /// Starts some samples under a policy.
    public init(_ policy: Policy, count: Int) {
        precondition(count >= 0, "a number of samples")
        runtime = PolicyRuntime(policy)
        memories = Array(repeating: PolicyRuntime.Memory(), count: count)
        active = Array(0..<count)
        decisions = Array(repeating: nil, count: count)
    }

    /// Whether every sample has left.
    public var isFinished: Bool { active.isEmpty }

    /// Takes what the next exit says of every sample that is left.
    ///
    /// - Parameter predictions: [active], in the order of ``active``.
    /// - Returns: the places in `predictions` of those that go on, ascending; empty when the batch is finished.
    /// - Complexity: O(active).
    @discardableResult
    public mutating func observe(_ predictions: [Prediction]) -> [Int] {
        advance(predictions) { runtime, prediction, exit, memory in
            runtime.step(prediction, at: exit, memory: &memory)
        }
    }

    /// Takes the numbers that the next exit predicts, under a policy for numbers; see ``observe(_:)``.
    ///
    /// - Parameter numbers: [active], in the order of ``active``.
    /// - Complexity: O(active).
    @discardableResult
    public mutating func observe(numbers: [Float]) -> [Int] {
        advance(numbers) { runtime, number, exit, memory in
            runtime.step(number: number, at: exit, memory: &memory)
        }
    }

    private mutating func advance<Said>(
        _ said: [Said], _ step: (PolicyRuntime, Said, Int, inout PolicyRuntime.Memory) -> ExitDecision?
    ) -> [Int] {
        precondition(said.count == active.count, "what the exit says of each sample that is left")
        precondition(active.isEmpty || nextExit < runtime.costs.count, "an exit that the policy has")
        var goingOn: [Int] = []
        for (place, sample) in active.enumerated() {
            if let decision = step(runtime, said[place], nextExit, &memories[sample]) {
                decisions[sample] = decision
            } else {
                goingOn.append(place)
            }
        }
        nextExit += 1
        active = goingOn.map { active[$0] }
        return goingOn
    }
}
