import ExitRules
import Statistics

/// Best-first branch and bound over one threshold for each exit on a grid: it proves which policy of the grid is best, or
/// bounds how far the best one found can be from it.
///
/// Thresholds are chosen from the first exit on. A branch, the thresholds of the first exits, is entered in the order of a
/// lower bound on the cost of every admissible way on (`LinkedRelaxation`); when three exits are left, the best of all
/// their combinations is found by running sums. The search ends when no branch has a bound as low as the cost of the best
/// policy so far, or when it has entered as many as it may; the lowest bound left is then what is known.
///
/// The grid of an exit is that of ``GridSearch``, and so is the answer where it is proven. On tables of 1590 samples with
/// 32 values an exit, six exits take tens of milliseconds. The work of a branch grows with the cube of the values.
///
/// - Note: The optimum on the table that was searched flatters itself. What this is for is to see how much of the grid's
///   speed-up a faster search leaves behind.
/// - Reference: Land and Doig (1960), "An automatic method of solving discrete programming problems", for branch and
///   bound.
public struct BranchAndBound: Sendable {
    /// What a search found.
    public struct Result: Equatable, Sendable {
        /// The fastest admissible policy found; "never leave early" where there is none.
        public let best: PolicyPoint
        /// A speed-up that no admissible policy of the grid exceeds; that of `best` when it is proven.
        public let upperBound: Double
        /// Whether no admissible policy of the grid is better than `best`, its risk gap included; where `best` is not
        /// admissible, whether nothing on the grid is.
        public let isProven: Bool
        /// How many branches were entered.
        public let nodes: Int
    }

    /// The constraint.
    public let constraint: RiskConstraint
    /// [exits - 1][values]: the thresholds the search combines, from "never" down.
    public let grid: [[Double?]]

    /// Every how many branches a solution of the relaxation is looked at.
    private static let improvementInterval = 16

    private let table: ScoreTable
    private let search: SearchGrid

    /// Prepares a grid of quantiles, the same as that of ``GridSearch``.
    ///
    /// - Parameters:
    ///   - table: the table to search.
    ///   - allowedGap: the largest risk gap accepted, in 0...1.
    ///   - valuesPerExit: K, at least 1: how many quantiles of each exit's scores, besides "never".
    /// - Complexity: O(N L (log N + K)); memory N L K / 8 bytes and a few dozen bytes a sample and exit.
    public init(table: ScoreTable, allowedGap: Double, valuesPerExit: Int) {
        precondition(valuesPerExit >= 1, "a grid has at least one value per exit")
        let grid = table.scores.map { ScoreRanking(scores: $0).quantiles(count: valuesPerExit) }
        self.init(table: table, allowedGap: allowedGap, grid: grid)
    }

    /// Prepares a grid of given thresholds.
    ///
    /// - Parameters:
    ///   - table: the table to search.
    ///   - allowedGap: the largest risk gap accepted, in 0...1.
    ///   - grid: [exits - 1][values]: falling thresholds; "never" is added to each.
    public init(table: ScoreTable, allowedGap: Double, grid: [[Double]]) {
        precondition(grid.count == table.exitCount - 1, "values for each exit but the last")
        precondition(grid.allSatisfy { zip($0, $0.dropFirst()).allSatisfy(>) }, "the thresholds of a grid fall")
        self.table = table
        self.grid = grid.map { [nil] + $0 }
        constraint = RiskConstraint(allowedGap: allowedGap)
        search = SearchGrid(
            table: table, grid: grid, largestExcess: constraint.largestExcess(samples: table.sampleCount))
    }

    /// Searches.
    ///
    /// Deterministic: equal tables, incumbents and budgets give equal results. A larger budget never gives a worse policy
    /// or a larger upper bound. When it is proven and there was no incumbent, `best` is the policy that ``GridSearch``
    /// finds: the fastest; of equally fast ones that with the lowest risk gap, then with fewest harmful flips; of equally
    /// good ones that with the highest thresholds at the first exits.
    ///
    /// - Parameters:
    ///   - incumbent: a policy to beat, on the grid or not; ignored unless it is admissible. If nothing on the grid is
    ///     better, it is what comes back. Coordinate search on the grid provides another one in any case.
    ///   - budget: how many branches to enter at most. Each takes a fraction of a millisecond on a few thousand samples
    ///     with 32 values an exit.
    /// - Complexity: O(budget * (N (L + K) + K^3)); memory O(budget * K).
    public func run(incumbent: Thresholds? = nil, budget: Int = 20_000) -> Result {
        precondition(budget >= 0, "a budget is not negative")
        let coordinates = CoordinateSearch(
            table: search.rankTable(of: table), allowedGap: constraint.allowedGap)
        var best = firstIncumbent(given: incumbent, coordinates: coordinates)
        var relaxation = LinkedRelaxation(grid: search)
        var sweep = TailSweep(grid: search)
        // At best everyone leaves at the first exit.
        var open = OpenBranches(rootBound: Double(table.sampleCount) * table.costs[0])
        var nodes = 0
        while let next = open.first, next.bound <= best.costLimit, nodes < budget {
            open.removeFirst()
            nodes += 1
            let branch = search.branch(open.choices(of: next))
            if search.leastExcess(of: branch) > search.largestExcess { continue }
            if branch.choices.count == search.earlyExitCount - SearchGrid.sweptExits {
                sweep.run(branch, incumbent: &best)
                continue
            }
            let bounds = relaxation.bounds(of: branch, limit: min(best.costLimit, costCeiling))
            // A solution of the relaxation that coordinate search puts right is often better than what is known, but takes
            // as long as some branches.
            if nodes % Self.improvementInterval == 1 { improve(&best, from: bounds.solution, coordinates: coordinates) }
            open.push(
                from: branch.choices, bounds: bounds.costs.map { max($0, next.bound) },
                limit: min(best.costLimit, costCeiling))
        }
        return result(best: best, incumbent: incumbent, lowestBound: open.first?.bound, nodes: nodes)
    }

    /// More than any policy costs, whatever the rounding: what a bound above it belongs to is not admissible.
    private var costCeiling: Double { 1.001 * Double(table.sampleCount) * table.costs[table.exitCount - 1] }

    private func result(best: Incumbent, incumbent: Thresholds?, lowestBound: Double?, nodes: Int) -> Result {
        let thresholds = best.choices.map { choices in
            Thresholds(zip(grid, choices.dropFirst(search.padding)).map { values, choice in values[choice] })
        }
        // Only a given incumbent has no choices.
        let point = PolicyPoint(thresholds ?? incumbent!, on: table)
        var upperBound = point.outcome.speedUp
        var isProven = true
        if let lowestBound, lowestBound <= best.costLimit {
            isProven = false
            if table.sampleCount > 0 {
                // Computed as speed-ups are, and rounding is monotone: no policy comes out above it.
                let meanCost = lowestBound / Double(table.sampleCount)
                upperBound = max(upperBound, table.costs[table.exitCount - 1] / meanCost)
            }
        }
        return Result(best: point, upperBound: upperBound, isProven: isProven, nodes: nodes)
    }

    /// The best of "never", of coordinate search on the grid, and of what the caller has.
    private func firstIncumbent(given: Thresholds?, coordinates: CoordinateSearch) -> Incumbent {
        let never = Array(repeating: 0, count: search.earlyExitCount)
        var best = Incumbent(rank: search.rank(of: never), choices: never)
        var generator = SplitMix64(seed: 0)
        for descent in coordinates.run(randomStarts: 8, using: &generator).descents {
            let choices = search.choices(of: descent.end.thresholds)
            best.offer(choices, rank: search.rank(of: choices))
        }
        if let given {
            let rank = PolicyRank(evaluate(given, on: table), constraint: constraint)
            if rank.violation == 0, !(best.rank < rank) { best = Incumbent(rank: rank, choices: nil) }
        }
        return best
    }

    /// Offers where coordinate search comes to from some choices.
    private func improve(_ best: inout Incumbent, from choices: [Int], coordinates: CoordinateSearch) {
        let end = search.choices(of: coordinates.descend(from: search.rankThresholds(of: choices)).thresholds)
        best.offer(end, rank: search.rank(of: end))
    }
}
