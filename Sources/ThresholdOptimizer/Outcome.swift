import Evaluation
import ExitRules

/// What a set of thresholds does on a table: who leaves where, at what cost, with which errors.
public struct Outcome: Equatable, Sendable {
    /// Flips against the reference, the final layer usually.
    public let counts: PairedCounts
    /// [exits]: how many samples leave at each exit.
    public let released: [Int]
    /// [exits]: how many of those are wrong.
    public let wrong: [Int]
    /// [exits]: cumulative cost up to and including each exit.
    public let costs: [Double]
    /// The cost of one sample without early exit.
    public let fullCost: Double

    /// Creates an outcome from counts that belong together; the full cost is the final layer's where none is given.
    public init(counts: PairedCounts, released: [Int], wrong: [Int], costs: [Double], fullCost: Double? = nil) {
        precondition(released.count == costs.count && wrong.count == costs.count, "one count for each exit")
        precondition(released.reduce(0, +) == counts.samples, "every sample leaves once")
        self.counts = counts
        self.released = released
        self.wrong = wrong
        self.costs = costs
        self.fullCost = fullCost ?? costs[costs.count - 1]
    }

    /// How many samples there are.
    public var sampleCount: Int { counts.samples }

    /// How many samples get a wrong label.
    public var errors: Int { wrong.reduce(0, +) }

    /// How many samples the reference gets wrong.
    public var referenceErrors: Int { errors - counts.harmfulFlips + counts.helpfulFlips }

    /// The fraction of wrong labels; 0 without samples.
    public var errorRate: Double { sampleCount == 0 ? 0 : Double(errors) / Double(sampleCount) }

    /// The cost of all samples together; added exit by exit, so equal shares give equal bits.
    public var costSum: Double { totalCost(released: released, costs: costs) }

    /// The mean cost of the exits taken; the full one without samples.
    public var meanCost: Double { sampleCount == 0 ? fullCost : costSum / Double(sampleCount) }

    /// The cost without early exit over the mean cost; 1 without samples.
    public var speedUp: Double { fullCost / meanCost }

    /// [exits]: the share of samples that leave at each exit; 0 without samples.
    public var shares: [Double] { released.map { sampleCount == 0 ? 0 : Double($0) / Double(sampleCount) } }
}

/// Thresholds with what they do on the table they were found on.
public struct PolicyPoint: Equatable, Sendable {
    /// The thresholds.
    public let thresholds: Thresholds
    /// What they do there.
    public let outcome: Outcome

    /// Creates a point.
    public init(thresholds: Thresholds, outcome: Outcome) {
        self.thresholds = thresholds
        self.outcome = outcome
    }

    /// Creates the point of some thresholds on a table.
    public init(_ thresholds: Thresholds, on table: ScoreTable) {
        self.init(thresholds: thresholds, outcome: evaluate(thresholds, on: table))
    }
}

/// What thresholds do on a table. Every search is held against this function, and it asks `Thresholds.exitTaken`.
///
/// - Complexity: O(samples * exits).
public func evaluate(_ thresholds: Thresholds, on table: ScoreTable) -> Outcome {
    Outcome(
        counted: countOutcome(of: thresholds, on: table), samples: table.sampleCount, costs: table.costs,
        fullCost: table.fullCost)
}

extension Outcome {
    /// Takes the numbers apart that ``countOutcome(of:on:)`` counts.
    init(counted: [Int], samples: Int, costs: [Double], fullCost: Double) {
        let exits = costs.count
        self.init(
            counts: PairedCounts(
                samples: samples, harmfulFlips: counted[2 * exits], helpfulFlips: counted[2 * exits + 1]),
            released: Array(counted[..<exits]), wrong: Array(counted[exits..<(2 * exits)]), costs: costs,
            fullCost: fullCost)
    }
}

/// [exits], how many samples leave there; [exits], how many of them are wrong; harmful flips; helpful flips. Counts of
/// different samples add up.
///
/// - Complexity: O(samples * exits).
func countOutcome(of thresholds: Thresholds, on table: ScoreTable) -> [Int] {
    var released = Array(repeating: 0, count: table.exitCount)
    var wrong = released
    var harmful = 0
    var helpful = 0
    for (sample, exit) in table.exitsTaken(thresholds).enumerated() {
        let isCorrect = table.isCorrect[exit][sample]
        released[exit] += 1
        if !isCorrect { wrong[exit] += 1 }
        if isCorrect != table.referenceIsCorrect[sample] {
            if isCorrect { helpful += 1 } else { harmful += 1 }
        }
    }
    return released + wrong + [harmful, helpful]
}

/// The cost of all samples, added in the order of the exits.
///
/// Always from counts, never by adding up differences, so that every search gives equal policies equal bits.
func totalCost(released: [Int], costs: [Double]) -> Double {
    var sum = 0.0
    for exit in costs.indices { sum += Double(released[exit]) * costs[exit] }
    return sum
}
