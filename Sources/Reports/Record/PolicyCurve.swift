import ExitRules
import ThresholdOptimizer

/// Policies from "never leave early" to the fastest, and what each does on tune and on test, sparse enough to be drawn and
/// looked through one by one.
///
/// Certify is left out on purpose: whoever chooses a threshold by what it does there can certify nothing on it any more.
public struct PolicyCurve: Codable, Equatable, Sendable {
    /// [exits - 1]: what the shift is added to; nil where no sample ever leaves.
    public var base: [Double?]
    /// [policies]: the shift of every threshold, falling; nil, first, is "never leave early".
    public var shifts: [Double?]
    /// The place of the certified policy; nil where it is none of them.
    public var chosen: Int?
    /// What the policies do on tune.
    public var tune: Counts
    /// What they do on test.
    public var test: Counts

    /// What policies do on a split.
    public struct Counts: Codable, Equatable, Sendable {
        /// How many samples there are.
        public var samples: Int
        /// How many the reference gets wrong.
        public var referenceErrors: Int
        /// [policies]: how many the policy gets wrong.
        public var errors: [Int]
        /// [policies]: early wrong and reference right.
        public var harmfulFlips: [Int]
        /// [policies]: early right and reference wrong.
        public var helpfulFlips: [Int]
        /// [policies]: the final layer's cost over the mean cost.
        public var speedUps: [Double]
        /// [policies][exits]: how many leave at each exit.
        public var released: [[Int]]

        init(_ outcomes: [Outcome]) {
            samples = outcomes[0].sampleCount
            referenceErrors = outcomes[0].referenceErrors
            errors = outcomes.map(\.errors)
            harmfulFlips = outcomes.map(\.counts.harmfulFlips)
            helpfulFlips = outcomes.map(\.counts.helpfulFlips)
            speedUps = outcomes.map(\.speedUp)
            released = outcomes.map(\.released)
        }

        /// [policies]: the fraction of wrong labels.
        var errorRates: [Double] { errors.map { Double($0) / Double(max(samples, 1)) } }
    }

    /// How many policies are kept at most, "never" and the chosen one beside.
    static let mostPolicies = 200

    /// Thins a path out and counts what is left.
    ///
    /// - Parameter chosen: the place of the policy that is kept whatever lies near it.
    /// - Complexity: that of one pass over each split.
    init(_ path: PolicyPath, chosen: Int?, tune: ScoreTable, test: ScoreTable) {
        let kept = Self.places(
            of: PathRates(path, on: tune).speedUps, chosen: chosen, most: Self.mostPolicies)
        let thinned = path.selecting(kept)
        base = path.base
        shifts = [nil] + thinned.shifts
        self.chosen = chosen.flatMap { kept.firstIndex(of: $0) }.map { $0 + 1 }
        let never = Thresholds.neverLeaveEarly(exitCount: tune.exitCount)
        self.tune = Counts([evaluate(never, on: tune)] + thinned.outcomes(on: tune))
        self.test = Counts([evaluate(never, on: test)] + thinned.outcomes(on: test))
    }

    /// Policies about equally far apart in speed-up, the first, the last and the chosen one among them.
    ///
    /// - Parameter speedUps: [policies]; they do not fall.
    static func places(of speedUps: [Double], chosen: Int?, most: Int) -> [Int] {
        guard speedUps.count > most else { return Array(speedUps.indices) }
        let step = (speedUps[speedUps.count - 1] - speedUps[0]) / Double(most - 1)
        var kept: [Int] = []
        var next = speedUps[0]
        for (place, speedUp) in speedUps.enumerated() {
            guard speedUp >= next || place == chosen || place == speedUps.count - 1 else { continue }
            kept.append(place)
            while step > 0, next <= speedUp { next += step }
        }
        return kept
    }
}

/// What one threshold for all exits does with another rule than the policy's.
public struct RuleCurve: Codable, Equatable, Sendable {
    /// The rule in a few words.
    public var name: String
    /// What its policies do on tune.
    public var tune: Points
    /// What the same policies do on test.
    public var test: Points

    /// Policies on a split.
    public struct Points: Codable, Equatable, Sendable {
        /// [policies]: the final layer's cost over the mean cost.
        public var speedUps: [Double]
        /// [policies]: the fraction of wrong labels.
        public var errors: [Double]

        init(_ path: PolicyPath, on table: ScoreTable) {
            let rates = PathRates(path, on: table)
            let finalErrors = table.isCorrect[table.exitCount - 1].count { !$0 }
            speedUps = [1] + rates.speedUps
            errors = [Double(finalErrors) / Double(max(table.sampleCount, 1))] + rates.errors
        }
    }

    /// How many policies are kept at most.
    static let mostPolicies = 60

    /// Finds every policy of one threshold on tune, and keeps some.
    ///
    /// - Complexity: that of ``SingleThresholdFrontier``.
    init(_ name: String, tune: ScoreTable, test: ScoreTable) {
        self.name = name
        let frontier = SingleThresholdFrontier(tune)
        // "Never leave early" stands first, and is what points start with.
        let early = frontier.points.filter { $0.threshold != nil }
        let places = PolicyCurve.places(
            of: early.map { frontier.speedUp(of: $0) }, chosen: nil, most: Self.mostPolicies)
        let thinned = PolicyPath(
            sharedThresholds: places.map { early[$0].threshold! }, exitCount: tune.exitCount)
        self.tune = Points(thinned, on: tune)
        self.test = Points(thinned, on: test)
    }
}
