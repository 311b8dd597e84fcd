import ExitRules

/// Exhaustive search over a grid of thresholds, one for each exit: the best policy of the grid, for few exits.
///
/// The grid of an exit is "never" and the thresholds that release the samples with the highest k/K of its scores,
/// k = 1...K: with K at least the number of samples, every breakpoint there is. Branches that cannot beat the best
/// policy so far are not entered: those whose cost would be too high even if everyone left next, and those whose excess
/// of harmful flips could not come down far enough even if every sample left at its most helpful exit.
///
/// The number of policies is the product over the exits, so the size is limited, and the caller is told.
public struct GridSearch: Sendable {
    /// More policies than the search is willing to look at.
    public struct TooManyPolicies: Error, Equatable, Sendable, CustomStringConvertible {
        /// How many policies the grid has; a Double, since the product can leave the range of Int.
        public let policies: Double
        /// How many are allowed.
        public let limit: Int

        /// What was seen, what was expected and what to do.
        public var description: String {
            let count = policies < 1e15 ? String(Int(policies)) : String(policies)
            return "the grid has \(count) combinations of thresholds; expected at most \(limit). "
                + "Use fewer values per exit, or method: coordinate"
        }
    }

    /// The constraint.
    public let constraint: RiskConstraint
    /// [exits - 1][values]: the thresholds the search combines, from "never" down.
    public let grid: [[Double?]]

    private let table: ScoreTable
    private let largestExcess: Int
    /// [exits - 1][samples]: the index of the first grid value at which the sample leaves; past the end when none.
    private let firstValue: [[Int]]
    /// [exits][samples]: the excess `b - c` that leaving at the exit adds.
    private let flips: [[Int]]
    /// [exits][samples]: the least excess a sample can add at this exit or any later one.
    private let leastFlips: [[Int]]

    /// Prepares a grid of quantiles.
    ///
    /// - Parameters:
    ///   - table: the table to search.
    ///   - allowedGap: the largest risk gap accepted, in 0...1.
    ///   - valuesPerExit: K, at least 1: how many quantiles of each exit's scores, besides "never".
    ///   - policyLimit: how many combinations are too many.
    /// - Throws: ``TooManyPolicies``.
    /// - Complexity: O(N L log N).
    public init(
        table: ScoreTable, allowedGap: Double, valuesPerExit: Int, policyLimit: Int = 10_000_000
    ) throws(TooManyPolicies) {
        precondition(valuesPerExit >= 1, "a grid has at least one value per exit")
        let grid = table.scores.map { ScoreRanking(scores: $0).quantiles(count: valuesPerExit) }
        try self.init(table: table, allowedGap: allowedGap, grid: grid, policyLimit: policyLimit)
    }

    /// Prepares a grid of given thresholds.
    ///
    /// - Parameters:
    ///   - table: the table to search.
    ///   - allowedGap: the largest risk gap accepted, in 0...1.
    ///   - grid: [exits - 1][values]: falling thresholds; "never" is added to each.
    ///   - policyLimit: how many combinations are too many.
    /// - Throws: ``TooManyPolicies``.
    public init(
        table: ScoreTable, allowedGap: Double, grid: [[Double]], policyLimit: Int = 10_000_000
    ) throws(TooManyPolicies) {
        precondition(grid.count == table.exitCount - 1, "values for each exit but the last")
        precondition(grid.allSatisfy { zip($0, $0.dropFirst()).allSatisfy(>) }, "the thresholds of a grid fall")
        let policies = grid.reduce(1.0) { $0 * Double($1.count + 1) }
        guard policies <= Double(policyLimit) else {
            throw TooManyPolicies(policies: policies, limit: policyLimit)
        }
        self.table = table
        self.grid = grid.map { [nil] + $0 }
        constraint = RiskConstraint(allowedGap: allowedGap)
        largestExcess = constraint.largestExcess(samples: table.sampleCount)
        firstValue = zip(grid, table.scores).map { values, scores in
            scores.map { 1 + firstMet(by: $0, in: values[...]) }
        }
        flips = (0..<table.exitCount).map { table.flips(exit: $0).map(Int.init) }
        var least = flips
        for exit in least.indices.dropLast().reversed() {
            for sample in least[exit].indices {
                least[exit][sample] = min(least[exit][sample], least[exit + 1][sample])
            }
        }
        leastFlips = least
    }

    /// The best policy of the grid: the fastest admissible one; of equally fast ones that with the lowest risk gap.
    ///
    /// "Never leave early" is in every grid; against the final layer it is admissible. Against another reference it need
    /// not be, and where nothing is, it is what comes back.
    ///
    /// - Complexity: O(policies + nodes * N) at worst, nodes the combinations of all but the last early exit's values.
    public func run() -> PolicyPoint {
        var search = Branches(search: self)
        search.enter(exit: 0, waiting: Array(0..<table.sampleCount))
        return PolicyPoint(Thresholds(zip(grid, search.bestChoice).map { values, choice in values[choice] }), on: table)
    }

    /// The depth-first search, with what was decided on the way and the best policy so far.
    private struct Branches {
        let search: GridSearch
        var bestChoice: [Int]
        var best: PolicyRank
        /// [exits - 1]: the value chosen at each exit on the way here.
        var choice: [Int]
        /// [exits]: how many samples have left at each exit on the way here.
        var released: [Int]
        var harmful = 0
        var helpful = 0

        init(search: GridSearch) {
            self.search = search
            choice = Array(repeating: 0, count: search.grid.count)
            released = Array(repeating: 0, count: search.grid.count + 1)
            bestChoice = choice
            // Never leave early.
            best = PolicyRank(
                evaluate(.neverLeaveEarly(exitCount: search.grid.count + 1), on: search.table),
                constraint: search.constraint)
        }

        /// Tries every value at an exit.
        ///
        /// - Parameter waiting: the samples that reach it.
        mutating func enter(exit: Int, waiting: [Int]) {
            guard exit < search.grid.count else { return finish(waiting: waiting) }
            if !isPromising(exit: exit, waiting: waiting) { return }
            // Samples by the first value at which they leave; those beyond the last value stay in any case.
            var leaving = Array(repeating: [Int](), count: search.grid[exit].count + 1)
            for sample in waiting { leaving[search.firstValue[exit][sample]].append(sample) }
            let before = (released[exit], harmful, helpful)
            for value in search.grid[exit].indices {
                // From "never" down; a value at which nobody leaves is the same policy as the one before.
                if value > 0, leaving[value].isEmpty { continue }
                for sample in leaving[value] {
                    released[exit] += 1
                    let flip = search.flips[exit][sample]
                    if flip > 0 { harmful += 1 }
                    if flip < 0 { helpful += 1 }
                }
                choice[exit] = value
                enter(exit: exit + 1, waiting: leaving[(value + 1)...].flatMap { $0 })
            }
            choice[exit] = 0
            (released[exit], harmful, helpful) = before
        }

        /// Whether some way on from an exit might beat the best policy so far.
        private mutating func isPromising(exit: Int, waiting: [Int]) -> Bool {
            let least = waiting.reduce(0) { $0 + search.leastFlips[exit][$1] }
            if harmful - helpful + least > search.largestExcess { return false }
            released[exit] += waiting.count
            let leastCost = totalCost(released: released, costs: search.table.costs)
            released[exit] -= waiting.count
            return leastCost <= best.costSum
        }

        /// Compares a policy with the best one; who still waits goes to the end.
        private mutating func finish(waiting: [Int]) {
            released[search.grid.count] = waiting.count
            let final = search.flips[search.grid.count]
            let rank = PolicyRank(
                costSum: totalCost(released: released, costs: search.table.costs),
                harmfulFlips: harmful + waiting.count { final[$0] > 0 },
                helpfulFlips: helpful + waiting.count { final[$0] < 0 }, largestExcess: search.largestExcess)
            released[search.grid.count] = 0
            // Against another reference than the final layer the first best may be inadmissible. One that is too must not
            // take its place: its cost would prune admissible ones.
            if rank.violation == 0, rank < best {
                best = rank
                bestChoice = choice
            }
        }
    }
}
