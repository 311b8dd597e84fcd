/// What was shown of a policy on the certify split: "risk gap > allowedGap" was rejected at level
/// `failureProbability`.
///
/// The claim is "gap <= allowedGap" and no more, for independent samples from the source that the certify split was
/// drawn from.
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
        /// Exact binomial on disagreement with the final layer; needs no labels.
        case disagreement
    }

    /// What the policy is compared with.
    public enum Reference: String, Codable, CaseIterable, Sendable {
        /// The final layer on the same samples.
        case final
    }

    /// The test that was used.
    public let kind: Kind
    /// What the policy is compared with.
    public let reference: Reference
    /// The largest risk gap the user accepts, a fraction in 0...1.
    public let allowedGap: Double
    /// The level delta, in (0, 1).
    public let failureProbability: Double
    /// How many samples of the certify split were tested.
    public let samples: Int
    /// Early wrong and final right, on certify.
    public let harmfulFlips: Int
    /// Early right and final wrong, on certify.
    public let helpfulFlips: Int
    /// The p-value of the certified policy, at most `failureProbability`.
    public let pValue: Double
    /// How many candidates were tested on certify to get there, this one included.
    public let candidatesTested: Int
    /// The order they were tested in, fixed on the tune split.
    public let order: String
    /// How many times a recipe has used this certify split, this one included; above 1 the guarantee needs care.
    public let certifyUses: Int
    /// The speed-up of the certified policy on certify.
    public let speedUp: Double

    /// Creates a certificate; see the fields for the ranges, which are preconditions here.
    public init(
        kind: Kind, reference: Reference = .final, allowedGap: Double, failureProbability: Double, samples: Int,
        harmfulFlips: Int, helpfulFlips: Int, pValue: Double, candidatesTested: Int, order: String,
        certifyUses: Int, speedUp: Double
    ) {
        self.kind = kind
        self.reference = reference
        self.allowedGap = allowedGap
        self.failureProbability = failureProbability
        self.samples = samples
        self.harmfulFlips = harmfulFlips
        self.helpfulFlips = helpfulFlips
        self.pValue = pValue
        self.candidatesTested = candidatesTested
        self.order = order
        self.certifyUses = certifyUses
        self.speedUp = speedUp
        if let problem { preconditionFailure(problem.message) }
    }

    /// The first field outside its range.
    private var problem: (key: CodingKeys, message: String)? {
        func unless(_ isRight: Bool, _ key: CodingKeys, _ expected: String) -> (CodingKeys, String)? {
            isRight ? nil : (key, "\(key.stringValue) of a certificate: expected \(expected)")
        }
        return unless((0...1).contains(allowedGap), .allowedGap, "a fraction in 0...1")
            ?? unless(
                failureProbability > 0 && failureProbability < 1, .failureProbability, "a number between 0 and 1")
            ?? unless(samples >= 1, .samples, "at least 1")
            ?? unless((0...samples).contains(harmfulFlips), .harmfulFlips, "a count in 0...samples")
            ?? unless(
                (0...(samples - harmfulFlips)).contains(helpfulFlips), .helpfulFlips,
                "a count in 0...(samples - harmfulFlips)")
            ?? unless(
                (0...1).contains(pValue) && pValue <= failureProbability, .pValue,
                "a number in 0...failureProbability, for a larger p-value certifies nothing")
            ?? unless(candidatesTested >= 1, .candidatesTested, "at least 1")
            ?? unless(certifyUses >= 1, .certifyUses, "at least 1")
            ?? unless(speedUp > 0 && speedUp.isFinite, .speedUp, "a positive, finite number")
    }
}

extension Certificate: Codable {
    enum CodingKeys: String, CodingKey {
        case kind, reference, allowedGap, failureProbability, samples, harmfulFlips, helpfulFlips, pValue
        case candidatesTested, order, certifyUses, speedUp
    }

    /// Reads a certificate and checks every number.
    ///
    /// - Throws: `DecodingError`: a key that is missing, a kind that nobody knows, a number that is not finite
    ///   or out of its range; the message says what was expected.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(Kind.self, forKey: .kind)
        reference = try container.decode(Reference.self, forKey: .reference)
        allowedGap = try container.decode(Double.self, forKey: .allowedGap)
        failureProbability = try container.decode(Double.self, forKey: .failureProbability)
        samples = try container.decode(Int.self, forKey: .samples)
        harmfulFlips = try container.decode(Int.self, forKey: .harmfulFlips)
        helpfulFlips = try container.decode(Int.self, forKey: .helpfulFlips)
        pValue = try container.decode(Double.self, forKey: .pValue)
        candidatesTested = try container.decode(Int.self, forKey: .candidatesTested)
        order = try container.decode(String.self, forKey: .order)
        certifyUses = try container.decode(Int.self, forKey: .certifyUses)
        speedUp = try container.decode(Double.self, forKey: .speedUp)
        if let problem {
            throw DecodingError.dataCorruptedError(
                forKey: problem.key, in: container, debugDescription: problem.message)
        }
    }
}
