import ExitRules

/// One sample on its way through the exits: what serving code holds while it runs a network layer by layer.
///
/// ```swift
/// var session = ExitSession(policy)
/// for layer in network {
///     let prediction = head(layer(...))
///     if case .stop(let decision) = session.observe(prediction) { return decision.label }
/// }
/// ```
public struct ExitSession: Sendable {
    /// Whether to run the next layer.
    public enum Step: Equatable, Sendable {
        /// Run the network up to the next exit.
        case goOn
        /// Leave here.
        case stop(ExitDecision)
    }

    private let runtime: PolicyRuntime
    private var memory = PolicyRuntime.Memory()
    private var nextExit = 0

    /// Starts a sample under a policy.
    public init(_ policy: Policy) { runtime = PolicyRuntime(policy) }

    /// Takes what the next exit says and decides. Exits are observed in order, from exit 0 on, none left out.
    ///
    /// - Parameter prediction: the exit's label and its confidence as the policy's rule measures it.
    /// - Complexity: O(1).
    public mutating func observe(_ prediction: Prediction) -> Step {
        let exit = advance()
        return step(runtime.step(prediction, at: exit, memory: &memory))
    }

    /// Takes the number that the next exit predicts and decides, under a policy for numbers; see ``observe(_:)``.
    ///
    /// - Complexity: O(1).
    public mutating func observe(number: Float) -> Step {
        let exit = advance()
        return step(runtime.step(number: number, at: exit, memory: &memory))
    }

    /// The exit that is observed now.
    private mutating func advance() -> Int {
        precondition(nextExit < runtime.costs.count, "the sample has left already")
        defer { nextExit += 1 }
        return nextExit
    }

    private mutating func step(_ decision: ExitDecision?) -> Step {
        guard let decision else { return .goOn }
        nextExit = runtime.costs.count
        return .stop(decision)
    }
}

/// Where a sample left, and with which answer.
public struct ExitDecision: Equatable, Sendable {
    /// The exit taken, 0-based.
    public var exit: Int
    /// The label given there; with numbers it counts how often neighbouring exits disagreed on the way.
    public var label: Int32
    /// The number predicted there; nil where exits tell classes apart.
    public var number: Float?
    /// The score there.
    public var score: Double
    /// The cumulative cost up to that exit.
    public var cost: Double

    /// Creates a decision.
    public init(exit: Int, label: Int32, number: Float? = nil, score: Double, cost: Double) {
        self.exit = exit
        self.label = label
        self.number = number
        self.score = score
        self.cost = cost
    }
}
