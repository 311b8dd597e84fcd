import ExitPolicy

/// What one sample pays to come to each exit, and how much of that are the exits' own checks: pooling, head and decision.
public struct ExitCosts: Equatable, Sendable {
    /// [exits]: up to and including each exit, the checks on the way included; positive, strictly increasing.
    public let cumulative: [Double]
    /// [exits]: what the check of each exit adds, part of ``cumulative``; nil where nobody told.
    public let checks: [Double]?
    /// Without early exit: the final layer's cost, less the checks before it where they are known. Speed-up is relative to
    /// this.
    public let full: Double

    /// Creates costs.
    ///
    /// - Parameters:
    ///   - cumulative: positive, strictly increasing.
    ///   - checks: not negative, each less than what its exit adds. A reader of user input checks both.
    public init(cumulative: [Double], checks: [Double]? = nil) {
        if let checks {
            precondition(Self.misfit(of: checks, in: cumulative) == nil, "a check is part of what its exit adds")
        }
        let all = checks?.dropLast().reduce(0, +) ?? 0
        self.init(cumulative: cumulative, checks: checks, full: cumulative[cumulative.count - 1] - all)
    }

    /// The costs that a policy's file tells.
    init(_ policy: Policy) { self.init(cumulative: policy.costs, checks: nil, full: policy.fullCost) }

    private init(cumulative: [Double], checks: [Double]?, full: Double) {
        precondition(!cumulative.isEmpty && cumulative[0] > 0, "costs are positive")
        precondition(zip(cumulative, cumulative.dropFirst()).allSatisfy(<), "costs increase")
        self.cumulative = cumulative
        self.checks = checks
        self.full = full
    }

    /// The first exit whose check is negative, or not less than what the exit adds; nil where all fit.
    static func misfit(of checks: [Double], in cumulative: [Double]) -> Int? {
        precondition(checks.count == cumulative.count, "a check for each exit")
        return checks.indices.first { exit in
            let added = cumulative[exit] - (exit == 0 ? 0 : cumulative[exit - 1])
            return !(checks[exit] >= 0 && checks[exit] < added)
        }
    }

    /// How many exits there are.
    public var count: Int { cumulative.count }

    /// The costs where only some exits are offered: the checks of the others are saved. What all cost without early exit
    /// stays the same.
    ///
    /// - Parameter exits: rising; the final layer is among them.
    public func selecting(exits: [Int]) -> ExitCosts {
        precondition(exits.last == cumulative.count - 1, "the final layer always answers")
        guard exits.count < cumulative.count else { return self }
        var saved = 0.0
        var next = 0
        let costs = exits.map { exit in
            saved += checks?[next..<exit].reduce(0, +) ?? 0
            next = exit + 1
            return cumulative[exit] - saved
        }
        return ExitCosts(cumulative: costs, checks: checks.map { checks in exits.map { checks[$0] } }, full: full)
    }
}
