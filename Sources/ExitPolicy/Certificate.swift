import ExitRules

/// What was shown of a policy on the certify split: "risk gap > allowedGap" was rejected at level ``level``.
///
/// The claim is "gap <= allowedGap" and no more, for independent samples (or groups of them) from the source that the
/// certify split was drawn from.
public struct Certificate: Equatable, Sendable {
    /// The test that was used.
    public enum Kind: String, Codable, CaseIterable, Sendable {
        /// One-sided exact binomial on discordant pairs; allowed gap 0.
        case pairedExactBinomial = "paired-exact-binomial"
        /// Exact unconditional test on harmful and helpful flips.
        case pairedExactTrinomial = "paired-exact-trinomial"
        /// Betting test on paired losses.
        case pairedBetting = "paired-betting"
        /// Betting test whose unit is a group of samples.
        case groupBetting = "group-betting"
        /// Betting test on the losses of whole sequences.
        case sequenceBetting = "sequence-betting"
        /// Exact binomial on disagreement with the reference; needs no true labels. `harmfulFlips` counts the samples on
        /// which the labels differ.
        case disagreement
    }

    /// The test that was used.
    public let kind: Kind
    /// What the policy is compared with.
    public let reference: Reference
    /// What counts against the policy.
    public let loss: PolicyLoss
    /// The largest risk gap the user accepts, a fraction in 0...1; of a measured loss in its own unit.
    public let allowedGap: Double
    /// The probability delta, in (0, 1), over all `uses`, of certifying anything that is worse than allowed.
    public let failureProbability: Double
    /// How many uses of the certify split delta was divided over beforehand.
    public let uses: Int
    /// How many samples of the certify split were tested.
    public let samples: Int
    /// Early wrong and reference right, on certify.
    public let harmfulFlips: Int
    /// Early right and reference wrong, on certify.
    public let helpfulFlips: Int
    /// On how many samples of certify the policy's label is not the reference's; nil where it was not counted.
    public let disagreements: Int?
    /// The p-value of the certified policy, at most `level`; with parts that must all pass, the largest of theirs.
    public let pValue: Double
    /// How many candidates were tested on certify to get there, this one included.
    public let candidatesTested: Int
    /// The order they were tested in, fixed on the tune split.
    public let order: String
    /// How many different runs have used this certify split, this one included; above `uses` the guarantee holds for the
    /// first only.
    public let certifyUses: Int
    /// The speed-up of the certified policy on certify.
    public let speedUp: Double
    /// What was shown of the parts of the population; nil where none were told apart.
    public let parts: Parts?
    /// What was measured and certified in place of errors; nil for errors and disagreement.
    public let measuredLoss: MeasuredLoss?

    /// The level of the tests: delta divided by the uses that were planned.
    public var level: Double { failureProbability / Double(uses) }

    /// Whether more runs have used the certify split than delta was divided over.
    public var isOverused: Bool { certifyUses > uses }

    /// Creates a certificate; see the fields for the ranges, which are preconditions here.
    public init(
        kind: Kind, reference: Reference = .final, loss: PolicyLoss = .error, allowedGap: Double,
        failureProbability: Double, uses: Int = 1,
        samples: Int, harmfulFlips: Int, helpfulFlips: Int, disagreements: Int? = nil, pValue: Double,
        candidatesTested: Int, order: String, certifyUses: Int, speedUp: Double, parts: Parts? = nil,
        measuredLoss: MeasuredLoss? = nil
    ) {
        self.kind = kind
        self.reference = reference
        self.loss = loss
        self.allowedGap = allowedGap
        self.failureProbability = failureProbability
        self.uses = uses
        self.samples = samples
        self.harmfulFlips = harmfulFlips
        self.helpfulFlips = helpfulFlips
        self.disagreements = disagreements
        self.pValue = pValue
        self.candidatesTested = candidatesTested
        self.order = order
        self.certifyUses = certifyUses
        self.speedUp = speedUp
        self.parts = parts
        self.measuredLoss = measuredLoss
        if let problem { preconditionFailure(problem.message) }
    }

    /// The first field outside its range.
    private var problem: (key: CodingKeys, message: String)? {
        if let loss = measuredLoss, !(loss.largest > loss.smallest) {
            return (.measuredLoss, "measuredLoss of a certificate: expected a largest loss above the smallest")
        }
        let rules: [(isRight: Bool, key: CodingKeys, expected: String)] = [
            (
                (0...(measuredLoss.map { $0.largest - $0.smallest } ?? 1)).contains(allowedGap), .allowedGap,
                measuredLoss == nil ? "a fraction in 0...1" : "at most the range of the losses"
            ),
            (failureProbability > 0 && failureProbability < 1, .failureProbability, "a number between 0 and 1"),
            (
                loss == .error || allowedGap > 0, .allowedGap,
                "more than 0, for no finite sample shows that labels never differ"
            ),
            (uses >= 1, .uses, "at least 1"),
            (samples >= 1, .samples, "at least 1"),
            (harmfulFlips >= 0 && harmfulFlips <= samples, .harmfulFlips, "a count in 0...samples"),
            (
                helpfulFlips >= 0 && helpfulFlips <= samples - harmfulFlips, .helpfulFlips,
                "a count in 0...(samples - harmfulFlips)"
            ),
            (disagreements.map { $0 >= 0 && $0 <= samples } ?? true, .disagreements, "a count in 0...samples"),
            (
                pValue >= 0 && pValue <= level, .pValue,
                "a number in 0...(failureProbability / uses), for a larger p-value certifies nothing"
            ),
            (candidatesTested >= 1, .candidatesTested, "at least 1"),
            (certifyUses >= 1, .certifyUses, "at least 1"),
            (speedUp > 0 && speedUp.isFinite, .speedUp, "a positive, finite number"),
        ]
        return rules.first { !$0.isRight }
            .map { ($0.key, "\($0.key.stringValue) of a certificate: expected \($0.expected)") }
    }
}

extension Certificate: Codable {
    enum CodingKeys: String, CodingKey {
        case kind, reference, loss, allowedGap, failureProbability, uses, samples, harmfulFlips, helpfulFlips,
            disagreements
        case pValue, candidatesTested, order, certifyUses, speedUp, parts, measuredLoss
    }

    /// Reads a certificate and checks every number.
    ///
    /// - Throws: `DecodingError`: a key that is missing, a kind that nobody knows, a number that is not finite
    ///   or out of its range; the message says what was expected.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(Kind.self, forKey: .kind)
        reference = try container.decode(Reference.self, forKey: .reference)
        loss =
            try container.decodeIfPresent(PolicyLoss.self, forKey: .loss)
            ?? (kind == .disagreement ? .disagreement : .error)
        allowedGap = try container.decode(Double.self, forKey: .allowedGap)
        failureProbability = try container.decode(Double.self, forKey: .failureProbability)
        uses = try container.decodeIfPresent(Int.self, forKey: .uses) ?? 1
        samples = try container.decode(Int.self, forKey: .samples)
        harmfulFlips = try container.decode(Int.self, forKey: .harmfulFlips)
        helpfulFlips = try container.decode(Int.self, forKey: .helpfulFlips)
        disagreements = try container.decodeIfPresent(Int.self, forKey: .disagreements)
        pValue = try container.decode(Double.self, forKey: .pValue)
        candidatesTested = try container.decode(Int.self, forKey: .candidatesTested)
        order = try container.decode(String.self, forKey: .order)
        certifyUses = try container.decode(Int.self, forKey: .certifyUses)
        speedUp = try container.decode(Double.self, forKey: .speedUp)
        parts = try container.decodeIfPresent(Parts.self, forKey: .parts)
        measuredLoss = try container.decodeIfPresent(MeasuredLoss.self, forKey: .measuredLoss)
        if let problem {
            throw DecodingError.dataCorruptedError(
                forKey: problem.key, in: container, debugDescription: problem.message)
        }
    }
}
