import Calibration

/// What a run found, as `report.json` keeps it beside the policy and the evaluation: all that the report draws and tells
/// that is in none of the other files.
///
/// The report is made from files alone, so it can be made again, or beside those of other runs, without the data.
public struct RunRecord: Codable, Equatable, Sendable {
    /// What every file says in its `format` key.
    public static let formatName = "beem-report"
    /// The version this code reads and writes.
    public static let currentVersion = 1

    /// Always ``formatName``.
    public var format = RunRecord.formatName
    /// The version of the format.
    public var version = RunRecord.currentVersion
    /// The recipe's name.
    public var name: String
    /// The SHA-256 of the files beside it that it belongs to, by name.
    public var files: [String: String]
    /// The recipe's text.
    public var recipe: String
    /// The rule in words, with its family of thresholds.
    public var rule: String
    /// What the costs are counted in.
    public var costUnit: String
    /// The data.
    public var samples: Samples
    /// What was to be certified.
    public var guarantee: Guarantee
    /// How the certificate was come by.
    public var walk: Walk
    /// The policy on tune, certify and test, by name of the split.
    public var splits: [String: PolicyOnSplit]
    /// Thresholds that were tuned and not certified.
    public var alternatives: [Alternative]
    /// What other allowed gaps are predicted to give; nil where it was not asked for.
    public var tradeOff: [TradeOff.Line]?
    /// How the rule was picked; nil where the recipe names it.
    public var automatic: Automatic?
    /// Which exits are not offered; nil where all are.
    public var selection: Selection?
    /// How far the search was from the best; nil where it is exact.
    public var optimality: Optimality?
    /// The policies that may be looked through, from "never leave early" to the fastest.
    public var path: PolicyCurve
    /// Other rules with one threshold.
    public var otherRules: [RuleCurve]
    /// [exits - 1]: the scores of the test samples that come to each exit.
    public var scores: [ScoreHistogram]
    /// [exits]: how often each exit is right at which confidence, on test; nil where labels are all that is known.
    public var reliability: [[ReliabilityPoint]]?
    /// What batches make of it on test; nil where the recipe does not say how long they take.
    public var serving: ServingTimes?
    /// What a reader must not overlook, in sentences.
    public var warnings: [String]

    /// The data.
    public struct Samples: Codable, Equatable, Sendable {
        /// All samples of the file.
        public var count: Int
        /// How many each split has, by name.
        public var splits: [String: Int]
        /// The largest group of samples that can occur; 1 when all samples are independent.
        public var maximumGroupSize: Int
    }

    /// What was to be certified.
    public struct Guarantee: Codable, Equatable, Sendable {
        /// The largest risk gap accepted, a fraction; of the certificate where the recipe asks for a speed-up instead.
        public var allowedGap: Double
        /// The probability of certifying a policy that is worse.
        public var failureProbability: Double
        /// How many uses of the certify split it is divided over.
        public var uses: Int
        /// The exit that policies are compared with.
        public var reference: Int
        /// How many different runs have used the certify split, this one included.
        public var certifyUses: Int
        /// How many other draws of certify samples from the same data have been used.
        public var otherDraws: Int
    }

    /// How the certificate was come by.
    public struct Walk: Codable, Equatable, Sendable {
        /// How many policies the search on tune offered.
        public var candidates: Int
        /// How many of them were put in order for certify.
        public var planned: Int
        /// Those that were tested there: their mean cost on tune as a speed-up, their error there, and whether they passed.
        public var tested: [Step]

        /// One test.
        public struct Step: Codable, Equatable, Sendable {
            /// The candidate's speed-up on tune.
            public var speedUp: Double
            /// Its error rate on tune.
            public var error: Double
            /// Whether it passed on certify.
            public var passed: Bool
        }
    }

    /// A policy that was tuned and not certified.
    public struct Alternative: Codable, Equatable, Sendable {
        /// How it was tuned.
        public var name: String
        /// What it does on tune.
        public var tune: SpeedAndGap
        /// What it does on test.
        public var test: SpeedAndGap
    }

    /// A speed-up and what it costs.
    public struct SpeedAndGap: Codable, Equatable, Sendable {
        /// The final layer's cost over the mean cost of the exits taken.
        public var speedUp: Double
        /// The risk gap.
        public var gap: Double
    }

    /// How the rule was picked.
    public struct Automatic: Codable, Equatable, Sendable {
        /// How many were compared.
        public var candidates: Int
        /// The speed-up predicted of the best.
        public var predictedSpeedUp: Double
    }

    /// Which exits are not offered.
    public struct Selection: Codable, Equatable, Sendable {
        /// Their names.
        public var switchedOff: [String]
        /// The speed-up that is predicted to be certified without them; nil where the recipe named the others.
        public var predictedSpeedUp: Double?
        /// The same with all exits.
        public var predictedOfAll: Double?
    }

    /// How far the search was from the best, on tune.
    public struct Optimality: Codable, Equatable, Sendable {
        /// The speed-up that was found.
        public var found: Double
        /// No thresholds of the grid have a higher one.
        public var bound: Double
        /// How many values each exit has on that grid.
        public var valuesPerExit: Int
    }
}
