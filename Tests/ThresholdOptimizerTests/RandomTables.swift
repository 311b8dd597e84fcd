import ExitRules
import Statistics

@testable import ThresholdOptimizer

/// Small tables with everything that makes searches go wrong: ties within and across exits, exits with one score,
/// exits that are always right or always wrong, a single sample, costs that are no round numbers. Where any reference is
/// asked for, half of the tables are compared with another exit than the last or with something that is no exit at all.
struct RandomTables: Sequence, IteratorProtocol {
    var generator: SplitMix64
    var remaining: Int
    var maximumSamples = 10
    var exits = 2...5
    var anyReference = false

    init(
        seed: UInt64, count: Int, maximumSamples: Int = 10, exits: ClosedRange<Int> = 2...5, anyReference: Bool = false
    ) {
        generator = SplitMix64(seed: seed)
        remaining = count
        self.maximumSamples = maximumSamples
        self.exits = exits
        self.anyReference = anyReference
    }

    mutating func next() -> ScoreTable? {
        guard remaining > 0 else { return nil }
        remaining -= 1
        let exitCount = Int.random(in: exits, using: &generator)
        let samples = Int.random(in: 1...maximumSamples, using: &generator)
        let levels = Int.random(in: 0...6, using: &generator)
        var scores: [[Double]] = []
        for _ in 0..<(exitCount - 1) {
            switch Int.random(in: 0...9, using: &generator) {
            case 0: scores.append(Array(repeating: 0.5, count: samples))
            case 1: scores.append((0..<samples).map { _ in Double.random(in: -1...1, using: &generator) })
            default:
                scores.append((0..<samples).map { _ in Double(Int.random(in: -1...levels, using: &generator)) / 4 })
            }
        }
        var isCorrect: [[Bool]] = []
        for _ in 0..<exitCount {
            // 0: always wrong, 1: always right, else right in 20 to 90 % of the samples.
            let kind = Int.random(in: 0...9, using: &generator)
            isCorrect.append(
                (0..<samples).map { _ in kind == 1 || kind > 1 && Int.random(in: 0..<10, using: &generator) < kind })
        }
        var cost = 0.0
        let isRound = Bool.random(using: &generator)
        let costs = (0..<exitCount).map { _ in
            cost += isRound ? 1 : Double.random(in: 0.1...2, using: &generator)
            return cost
        }
        var reference: [Bool]?
        if anyReference {
            switch Int.random(in: 0...3, using: &generator) {
            case 0: reference = isCorrect.randomElement(using: &generator)
            case 1: reference = (0..<samples).map { _ in Int.random(in: 0..<4, using: &generator) > 0 }
            default: break
            }
        }
        return ScoreTable(scores: scores, isCorrect: isCorrect, referenceIsCorrect: reference, costs: costs)
    }
}

/// The reference the searches are held against: thresholds that are observed scores, tried one by one.
enum BruteForce {
    /// Every threshold of one exit that makes a difference, from "never" down.
    static func thresholds(of table: ScoreTable, exit: Int) -> [Double?] {
        [nil] + Set(table.scores[exit]).sorted(by: >)
    }

    /// Every combination of thresholds that makes a difference.
    static func allPolicies(of table: ScoreTable) -> [Thresholds] {
        combinations(table.scores.indices.map { thresholds(of: table, exit: $0) })
    }

    /// Every combination of the given values, one for each exit.
    static func combinations(_ values: [[Double?]]) -> [Thresholds] {
        var prefixes: [[Double?]] = [[]]
        for values in values { prefixes = prefixes.flatMap { prefix in values.map { prefix + [$0] } } }
        return prefixes.map(Thresholds.init)
    }

    /// Every change of one threshold.
    static func singleMoves(of table: ScoreTable, from start: Thresholds, exit: Int) -> [Thresholds] {
        thresholds(of: table, exit: exit).map { value in
            var values = start.values
            values[exit] = value
            return Thresholds(values)
        }
    }

    /// How good a policy is; smaller is better.
    static func rank(_ thresholds: Thresholds, on table: ScoreTable, allowedGap: Double) -> PolicyRank {
        PolicyRank(evaluate(thresholds, on: table), constraint: RiskConstraint(allowedGap: allowedGap))
    }

    /// The rank of the best of some policies.
    static func bestRank(_ policies: [Thresholds], on table: ScoreTable, allowedGap: Double) -> PolicyRank {
        policies.map { rank($0, on: table, allowedGap: allowedGap) }.min()!
    }
}
