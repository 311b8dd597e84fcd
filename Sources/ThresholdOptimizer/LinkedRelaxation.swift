/// Lower bounds on the cost of every way on from a branch: a Lagrangian relaxation in which samples are held to common
/// thresholds by multipliers.
///
/// With a price p on a flip, leaving at exit j costs a sample `c_j + p * flip_j`, and `p * largestExcess` is given back
/// once: a lower bound for every p >= 0. If each sample might now take the exit that is cheapest for it, hardly anything
/// would be left of the problem, since a sample would know where it is right. So:
/// - At the **next three** exits the thresholds are what they are; all combinations are looked at (``TripleSweep``).
/// - At each exit e behind them a sample s has its own say `x(s, e)` whether it leaves there. In truth
///   `x(s, e) = [rank(s, e) < v_e]`, one v_e for all. That equation is relaxed too, with a multiplier m(s, e): samples
///   minimise their cost plus the sum of `m x`, thresholds minimise minus the sum of `m [rank < v]`.
///
/// For any p >= 0 and any m the sum of the minima is a lower bound. Subgradient steps raise it; where they start is where
/// they ended at the branch before, whichever that was.
///
/// The best bound of this kind is that of a linear program, in which thresholds may be mixed, so it need not reach the
/// optimum while more than three exits are open. With three or fewer only the price is relaxed.
///
/// - Reference: Fisher (1981), "The Lagrangian relaxation method for solving integer programming problems"; Guignard and
///   Kim (1987), "Lagrangean decomposition", for copies of a variable held together by multipliers; Camerini, Fratta and
///   Maffioli (1975), "On improving relaxation methods by modified gradient techniques", for steps with a memory.
struct LinkedRelaxation: Sendable {
    /// How steps are taken. No choice makes a bound invalid; these were the best of those tried on real tables.
    private struct Steps {
        /// How many at most.
        var count: Int
        /// The first step's share of Polyak's length, which leads to the incumbent's cost if the bound were linear.
        var length: Double
        /// How much of the direction before is kept.
        var memory: Double
        /// Steps without a better bound after which the length shrinks to 0.7 of what it was.
        var patience: Int

        static let first = Steps(count: 150, length: 1, memory: 0.7, patience: 10)
        // Short and few: multipliers of other branches are a good start, and long steps spoil them for the branches to come.
        static let later = Steps(count: 3, length: 0.1, memory: 0, patience: 3)
    }

    private let grid: SearchGrid
    private var multipliers: LinkedProblem.Multipliers

    init(grid: SearchGrid) {
        self.grid = grid
        multipliers = LinkedProblem.Multipliers(
            price: grid.costs[grid.earlyExitCount], links: grid.ranks.map { Array(repeating: 0, count: $0.count) })
    }

    /// What is known of a branch.
    struct Bounds {
        /// For each choice at the next exit, a cost that no admissible way on falls below. Infinite where a choice releases
        /// nobody that the choice before it does not: the way on is the same.
        var costs: [Double]
        /// Choices at all exits that the last step's minima were at; they need not be admissible.
        var solution: [Int]
    }

    /// Bounds the ways on from a branch with at least three open exits.
    ///
    /// - Parameter limit: the incumbent's cost, finite: steps end when all bounds are above.
    /// - Complexity: a step is O(waiting * (L + K) + K^3) with K values at an exit.
    mutating func bounds(of branch: SearchGrid.Branch, limit: Double) -> Bounds {
        let steps = branch.choices.isEmpty ? Steps.first : Steps.later
        var problem = LinkedProblem(grid: grid, branch: branch, multipliers: multipliers)
        var minima = problem.solve()
        var best = minima
        var length = steps.length
        var highest = minima.min()!
        var stepsSinceHighest = 0
        for _ in 1..<steps.count {
            if best.min()! > limit { break }
            // False where the bound is the best there is.
            guard problem.step(length: length * (limit - minima.min()!), memory: steps.memory) else { break }
            minima = problem.solve()
            for choice in minima.indices { best[choice] = max(best[choice], minima[choice]) }
            stepsSinceHighest += 1
            if minima.min()! > highest {
                highest = minima.min()!
                stepsSinceHighest = 0
            } else if stepsSinceHighest == steps.patience {
                length *= 0.7
                stepsSinceHighest = 0
            }
        }
        problem.store(in: &multipliers)
        return Bounds(costs: best, solution: branch.choices + problem.solution)
    }
}
