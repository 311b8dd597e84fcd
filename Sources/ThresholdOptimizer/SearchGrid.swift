import ExitRules

/// A threshold problem on a grid, in integers: what branch and bound works on.
///
/// A **choice** is one number for each early exit: v lets the samples of rank below v leave there, so 0 is "never". The
/// sweeps take three exits at a time; a problem with fewer gets exits in front at which nobody can leave.
struct SearchGrid: Sendable {
    /// How many exits were put in front.
    let padding: Int
    /// [exits - 1]: how many thresholds there are besides "never".
    let valueCounts: [Int]
    /// [exits - 1][samples]: the index of the first threshold that releases the sample; `valueCounts` when none does.
    let ranks: [[Int32]]
    /// [exits][samples]: the excess `b - c` that leaving at the exit adds: 1, 0 or -1.
    let flips: [[Int32]]
    /// [exits]: cumulative cost; 0 for exits in front.
    let costs: [Double]
    /// The largest admissible `b - c`.
    let largestExcess: Int
    /// How many samples there are.
    let sampleCount: Int

    /// [exits - 1][choices]: the samples a choice releases among all.
    private let leaving: [[SampleSet]]
    /// [exits]: who leaves with a harmful, a helpful flip.
    private let harmful: [SampleSet]
    private let helpful: [SampleSet]
    /// [exits]: whose least flip at this exit or any later one is 1, -1.
    private let surelyHarmful: [SampleSet]
    private let maybeHelpful: [SampleSet]

    /// Ranks the samples.
    ///
    /// - Parameter grid: [exits - 1][values]: falling thresholds, without "never".
    /// - Complexity: O(N L log K) and a bit for each sample and threshold: N L K / 8 bytes.
    init(table: ScoreTable, grid: [[Double]], largestExcess: Int) {
        let samples = table.sampleCount
        let padding = max(0, Self.sweptExits - grid.count)
        self.padding = padding
        self.largestExcess = largestExcess
        sampleCount = samples
        let nobody = Array(repeating: Int32(0), count: samples)
        valueCounts = Array(repeating: 0, count: padding) + grid.map(\.count)
        ranks =
            Array(repeating: nobody, count: padding)
            + zip(grid, table.scores).map { values, scores in scores.map { Int32(firstMet(by: $0, in: values[...])) } }
        flips =
            Array(repeating: nobody, count: padding)
            + (0..<table.exitCount).map { table.flips(exit: $0).map(Int32.init) }
        costs = Array(repeating: 0, count: padding) + table.costs
        leaving = zip(ranks, valueCounts).map { ranks, count in
            (0..<(count + 1)).map { value in SampleSet(sampleCount: samples) { ranks[$0] < value } }
        }
        harmful = flips.map { flips in SampleSet(sampleCount: samples) { flips[$0] > 0 } }
        helpful = flips.map { flips in SampleSet(sampleCount: samples) { flips[$0] < 0 } }
        var least = flips
        for exit in least.indices.dropLast().reversed() {
            for sample in 0..<samples { least[exit][sample] = min(least[exit][sample], least[exit + 1][sample]) }
        }
        surelyHarmful = least.map { flips in SampleSet(sampleCount: samples) { flips[$0] > 0 } }
        maybeHelpful = least.map { flips in SampleSet(sampleCount: samples) { flips[$0] < 0 } }
    }

    /// How many exits a sweep covers exactly.
    static let sweptExits = 3

    /// How many exits have a threshold, those in front included.
    var earlyExitCount: Int { ranks.count }

    /// The table with ranks for scores, falling: a search that tries every breakpoint tries the values of the grid on this
    /// one. Exits in front are left out.
    func rankTable(of table: ScoreTable) -> ScoreTable {
        var result = table
        result.scores = zip(ranks, valueCounts).dropFirst(padding).map { ranks, count in
            // Not a number is never released.
            ranks.map { $0 < count ? -Double($0) : .nan }
        }
        return result
    }

    /// The choices that release what thresholds on ``rankTable(of:)`` release.
    func choices(of rankThresholds: Thresholds) -> [Int] {
        let choices = zip(rankThresholds.values, valueCounts.dropFirst(padding)).map { threshold, count in
            threshold.map { threshold in (0..<count).count { -Double($0) >= threshold } } ?? 0
        }
        return Array(repeating: 0, count: padding) + choices
    }

    /// The other way round.
    func rankThresholds(of choices: [Int]) -> Thresholds {
        Thresholds(choices.dropFirst(padding).map { $0 == 0 ? nil : 1 - Double($0) })
    }

    /// Where a search stands: the choices made at the first exits, who still waits, and what the others cost.
    struct Branch {
        /// The choices at the first exits.
        var choices: [Int] = []
        /// Who has not left.
        var waiting: SampleSet
        /// [exits]: how many have left.
        var released: [Int]
        /// `b` of those who have left.
        var harmful = 0
        /// `b - c` of those who have left.
        var excess = 0
    }

    /// Follows choices at the first exits.
    ///
    /// - Complexity: O(exits * N / 64).
    func branch(_ choices: [Int]) -> Branch {
        var branch = Branch(
            waiting: SampleSet(sampleCount: sampleCount) { _ in true },
            released: Array(repeating: 0, count: earlyExitCount + 1))
        for (exit, choice) in choices.enumerated() {
            let leavers = branch.waiting.intersection(leaving[exit][choice])
            branch.released[exit] = leavers.count
            let harmful = leavers.count(in: harmful[exit])
            branch.harmful += harmful
            branch.excess += harmful - leavers.count(in: helpful[exit])
            branch.waiting.subtract(leavers)
        }
        branch.choices = choices
        return branch
    }

    /// The least `b - c` that a branch could come to, if every sample might leave where it pleases.
    ///
    /// - Complexity: O(N / 64).
    func leastExcess(of branch: Branch) -> Int {
        let exit = branch.choices.count
        let waiting = branch.waiting
        return branch.excess + waiting.count(in: surelyHarmful[exit]) - waiting.count(in: maybeHelpful[exit])
    }

    /// How good a policy is.
    ///
    /// - Parameter choices: one for each early exit.
    /// - Complexity: O(exits * N / 64).
    func rank(of choices: [Int]) -> PolicyRank {
        var branch = branch(choices)
        branch.released[earlyExitCount] = branch.waiting.count
        let harmful = branch.harmful + branch.waiting.count(in: harmful[earlyExitCount])
        let helpful = branch.harmful - branch.excess + branch.waiting.count(in: helpful[earlyExitCount])
        return PolicyRank(
            costSum: totalCost(released: branch.released, costs: costs), harmfulFlips: harmful, helpfulFlips: helpful,
            largestExcess: largestExcess)
    }
}
