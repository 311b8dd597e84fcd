import ExitRules

/// A calibrated early-exit policy: what serving code needs to decide, and what it may claim.
///
/// Read one with ``init(reading:)``, write it with ``write(to:)``; the file's format is `schema/policy.schema.json`.
public struct Policy: Codable, Equatable, Sendable {
    /// What every policy file says in its `format` key.
    public static let formatName = "beem-policy"
    /// The newest version this code reads, and the one it writes.
    public static let currentVersion = 1

    /// Always ``formatName``.
    public var format = Policy.formatName
    /// The version of the format.
    public var version = Policy.currentVersion
    /// The recipe's name.
    public var name: String
    /// The names of the classes, by label.
    public var classes: [String]
    /// How scores are made.
    public var rule: RuleDescription
    /// The exits in order; the last is the final layer.
    public var exits: [Exit]
    /// The cost of one sample without early exit, where it is not that of the last exit: a sample that comes there has also
    /// paid for the checks on the way.
    public var costWithoutExits: Double?
    /// The heads the policy was calibrated with; nil when the exits' outputs came from elsewhere.
    public var heads: HeadsReference?
    /// What is guaranteed; nil for a policy without a certificate.
    public var certificate: Certificate?
    /// How the policy did on the test split, which nothing was chosen on.
    public var test: TestResult?
    /// Where the policy comes from.
    public var provenance: Provenance

    /// The rule, as the recipe names it. The weights themselves stand with the exits.
    public struct RuleDescription: Codable, Equatable, Sendable {
        /// The kind of score.
        public enum Kind: String, Codable, CaseIterable, Sendable {
            /// Accumulated, weighted confidence while neighbouring exits agree.
            case beem
            /// The confidence of the exit at hand, its largest probability.
            case maxProbability = "max-probability"
            /// The confidence of the exit at hand, the margin between its two largest probabilities.
            case margin
            /// The confidence of the exit at hand, 1 - normalised entropy.
            case entropy
            /// How many exits in a row have said the same.
            case patience
            /// Everyone leaves at one exit.
            case `static`

            /// Whether scores depend on confidences; labels are enough otherwise.
            public var usesConfidence: Bool {
                switch self {
                case .beem, .maxProbability, .margin, .entropy: true
                case .patience, .static: false
                }
            }

            /// What confidence has to measure; nil where it may be anything.
            public var confidence: ConfidenceMeasure? {
                switch self {
                case .maxProbability: .maxProbability
                case .margin: .margin
                case .entropy: .entropy
                case .beem, .patience, .static: nil
                }
            }

            /// The rule as something that scores; weights, memory and restart are those of `beem`.
            public func exitRule(weights: [Double], memory: Double, restart: BEEMRule.Restart) -> any ExitRule {
                switch self {
                case .beem: BEEMRule(weights: weights, memory: memory, restart: restart)
                case .maxProbability, .margin, .entropy: ConfidenceRule()
                case .patience: PatienceRule()
                case .static: StaticRule()
                }
            }
        }

        /// The kind of score.
        public var kind: Kind
        /// How the weights were found: accuracy, cost, log-odds, uniform, authors-code or given; nil for rules without weights.
        public var weights: String?
        /// How much of the score before is kept on agreement; nil for rules without memory.
        public var memory: Double?
        /// What confidence measures.
        public var confidence: ConfidenceMeasure
        /// What happens on disagreement; nil for rules without.
        public var restart: BEEMRule.Restart?
        /// By how much numbers may differ that count as the same, for exits that predict numbers; nil for classes.
        public var tolerance: Double?

        /// Creates a description.
        public init(
            kind: Kind, weights: String? = nil, memory: Double? = nil, confidence: ConfidenceMeasure = .maxProbability,
            restart: BEEMRule.Restart? = nil, tolerance: Double? = nil
        ) {
            self.kind = kind
            self.weights = weights
            self.memory = memory
            self.confidence = confidence
            self.restart = restart
            self.tolerance = tolerance
        }
    }

    /// One exit of the network.
    public struct Exit: Codable, Equatable, Sendable {
        /// 0-based.
        public var index: Int
        /// What the feature cache calls it.
        public var name: String
        /// The cumulative cost up to and including this exit.
        public var cost: Double
        /// Its weight in the score.
        public var weight: Double
        /// What its logits are divided by.
        public var temperature: Double
        /// Leave here when the score is at least this; nil: no sample leaves here early.
        public var threshold: Double?

        /// Creates an exit.
        public init(
            index: Int, name: String, cost: Double, weight: Double, temperature: Double = 1, threshold: Double?
        ) {
            self.index = index
            self.name = name
            self.cost = cost
            self.weight = weight
            self.temperature = temperature
            self.threshold = threshold
        }

        private enum CodingKeys: String, CodingKey { case index, name, cost, weight, temperature, threshold }

        /// Writes every key; a threshold that is never met is `null`.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(index, forKey: .index)
            try container.encode(name, forKey: .name)
            try container.encode(cost, forKey: .cost)
            try container.encode(weight, forKey: .weight)
            try container.encode(temperature, forKey: .temperature)
            try container.encode(threshold, forKey: .threshold)
        }
    }

    /// The heads file beside the policy.
    public struct HeadsReference: Codable, Equatable, Sendable {
        /// Relative to the policy's folder.
        public var file: String
        /// Of the file's bytes, in lower-case hexadecimal.
        public var sha256: String

        /// Creates a reference.
        public init(file: String, sha256: String) {
            self.file = file
            self.sha256 = sha256
        }
    }

    /// How the policy did on the test split.
    public struct TestResult: Codable, Equatable, Sendable {
        /// Error rate of the policy.
        public var error: Double
        /// Error rate of the final layer.
        public var finalError: Double
        /// The cost without early exit over the mean cost of the exits taken.
        public var speedUp: Double
        /// A two-sided 95 % interval of the risk gap; nil where it was not computed.
        public var gapInterval: [Double]?
        /// How many samples; nil where it was not written down.
        public var samples: Int?
        /// Early wrong and reference right; nil where it was not written down.
        public var harmfulFlips: Int?
        /// Early right and reference wrong; nil where it was not written down.
        public var helpfulFlips: Int?

        /// Creates a result.
        public init(
            error: Double, finalError: Double, speedUp: Double, gapInterval: [Double]? = nil, samples: Int? = nil,
            harmfulFlips: Int? = nil, helpfulFlips: Int? = nil
        ) {
            self.error = error
            self.finalError = finalError
            self.speedUp = speedUp
            self.gapInterval = gapInterval
            self.samples = samples
            self.harmfulFlips = harmfulFlips
            self.helpfulFlips = helpfulFlips
        }
    }

    /// Where a policy comes from.
    public struct Provenance: Codable, Equatable, Sendable {
        /// The feature cache.
        public struct Source: Codable, Equatable, Sendable {
            /// Of the file's bytes, in lower-case hexadecimal.
            public var sha256: String

            /// Creates a source.
            public init(sha256: String) { self.sha256 = sha256 }
        }

        /// The fractions that splits were drawn with; see the recipe.
        public struct SplitFractions: Codable, Equatable, Sendable {
            /// Of all samples; nil when the train split is the one stored in the cache, and the others are fractions
            /// of what is not in it.
            public var train: Double?
            /// The tune split's fraction.
            public var tune: Double
            /// The certify split's fraction.
            public var certify: Double
            /// The test split's fraction.
            public var test: Double

            /// Creates fractions.
            public init(train: Double?, tune: Double, certify: Double, test: Double) {
                self.train = train
                self.tune = tune
                self.certify = certify
                self.test = test
            }
        }

        /// The hash of the recipe's text.
        public var recipe: String
        /// The feature cache.
        public var features: Source
        /// The fractions that splits were drawn with; nil when all splits are stored in the cache.
        public var splits: SplitFractions?
        /// What the splits were drawn with.
        public var seed: UInt64
        /// The tool and its version.
        public var tool: String

        /// Creates a provenance.
        public init(recipe: String, features: Source, splits: SplitFractions? = nil, seed: UInt64, tool: String) {
            self.recipe = recipe
            self.features = features
            self.splits = splits
            self.seed = seed
            self.tool = tool
        }
    }

    /// Creates a policy.
    public init(
        name: String, classes: [String], rule: RuleDescription, exits: [Exit], costWithoutExits: Double? = nil,
        heads: HeadsReference?, certificate: Certificate?, test: TestResult?, provenance: Provenance
    ) {
        self.name = name
        self.classes = classes
        self.rule = rule
        self.exits = exits
        self.costWithoutExits = costWithoutExits
        self.heads = heads
        self.certificate = certificate
        self.test = test
        self.provenance = provenance
    }

    private enum CodingKeys: String, CodingKey {
        case format, version, name, classes, rule, exits, costWithoutExits, heads, certificate, test, provenance
    }

    /// Writes every key but `costWithoutExits`, which is there where it says something; a missing certificate is `null`, so
    /// that nobody overlooks it.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(format, forKey: .format)
        try container.encode(version, forKey: .version)
        try container.encode(name, forKey: .name)
        try container.encode(classes, forKey: .classes)
        try container.encode(rule, forKey: .rule)
        try container.encode(exits, forKey: .exits)
        try container.encodeIfPresent(costWithoutExits, forKey: .costWithoutExits)
        try container.encode(heads, forKey: .heads)
        try container.encode(certificate, forKey: .certificate)
        try container.encode(test, forKey: .test)
        try container.encode(provenance, forKey: .provenance)
    }

    /// The thresholds of all exits but the last.
    public var thresholds: Thresholds { Thresholds(exits.dropLast().map(\.threshold)) }

    /// [exits]: the cumulative costs.
    public var costs: [Double] { exits.map(\.cost) }

    /// The cost of one sample without early exit, which speed-up is relative to.
    public var fullCost: Double { costWithoutExits ?? exits[exits.count - 1].cost }

    /// The rule as something that scores.
    public var exitRule: any ExitRule {
        rule.kind.exitRule(
            weights: exits.map(\.weight), memory: rule.memory ?? 1, restart: rule.restart ?? .current)
    }
}
