import ExitPolicy
import FeatureCache
import RiskControl
import Safetensors

/// From a table of paired losses to the fastest candidate that is certified.
///
/// The losses may be of any task: what is certified is that the mean loss of a sample is at most the reference's plus the
/// allowed gap. Tune orders the candidates, certify tests them in that order (`LossCandidates` in `RiskControl`).
public struct LossCertification: Sendable {
    /// What is to be shown, fixed before the certify samples are looked at.
    public struct Claim: Equatable, Sendable {
        /// The largest mean difference that is accepted, in the unit of the loss.
        public var allowedGap: Double
        /// The probability of certifying a candidate that loses more.
        public var failureProbability: Double
        /// How many uses of the certify samples it is divided over.
        public var uses: Int
        /// In which every loss lies.
        public var range: ClosedRange<Double>
        /// How tune orders the candidates; nil: as the file does.
        public var order: CandidateOrder?
        /// The largest group that can occur; nil: the largest of tune, or 1.
        public var maximumGroupSize: Int?
        /// What a sample costs without early exit; nil: what the table says, or the dearest candidate.
        public var fullCost: Double?
        /// What the loss is called.
        public var name: String
        /// What one sample is.
        public var unit: String
        /// Whether samples are whole sequences, of which a policy decides the parts.
        public var isOfSequences: Bool
        /// Draws the order of the samples.
        public var seed: UInt64

        /// Creates a claim.
        public init(
            allowedGap: Double, failureProbability: Double = 0.05, uses: Int = 1, range: ClosedRange<Double> = 0...1,
            order: CandidateOrder? = .standard, maximumGroupSize: Int? = nil, fullCost: Double? = nil,
            name: String = "loss", unit: String = "sample", isOfSequences: Bool = false, seed: UInt64 = 0
        ) {
            self.allowedGap = allowedGap
            self.failureProbability = failureProbability
            self.uses = uses
            self.range = range
            self.order = order
            self.maximumGroupSize = maximumGroupSize
            self.fullCost = fullCost
            self.name = name
            self.unit = unit
            self.isOfSequences = isOfSequences
            self.seed = seed
        }

        /// The level of this use's tests.
        public var level: Double { failureProbability / Double(uses) }
    }

    /// What one candidate does on the samples of one split.
    public struct OnSplit: Codable, Equatable, Sendable {
        /// How many samples.
        public var samples: Int
        /// The mean loss.
        public var loss: Double
        /// The reference's.
        public var referenceLoss: Double
        /// The mean of their differences.
        public var difference: Double
        /// Its standard error, of groups where there are any; nil for fewer than two.
        public var standardError: Double?
        /// The mean cost of a sample.
        public var meanCost: Double
        /// The cost without early exit over that.
        public var speedUp: Double
        /// On how many samples the loss is above the reference's.
        public var worse: Int
        /// On how many it is below.
        public var better: Int
    }

    /// What is to be shown.
    public let claim: Claim
    /// The names of the candidates.
    public let candidates: [String]
    /// What a sample costs without early exit.
    public let fullCost: Double
    /// Whether that is only the dearest candidate's cost.
    public let fullCostIsGuessed: Bool
    /// The walk along the order.
    public let outcome: LossCandidates.Outcome
    /// [candidates]: what they do on tune; nil where the table has no tune samples.
    public let tune: [OnSplit]?
    /// What the chosen candidate does on certify; nil when none was certified.
    public let certify: OnSplit?
    /// What it does on test; nil when none was certified, or the table has no test samples.
    public let test: OnSplit?
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?

    /// The name of the candidate that is certified.
    public var chosen: String? { outcome.chosen.map { candidates[$0] } }

    /// Tests the candidates of a table.
    ///
    /// - Parameters:
    ///   - table: the losses.
    ///   - claim: what is to be shown.
    ///   - certifyUses: how many runs have used these certify samples, this one included; see ``CertifyLog``.
    /// - Throws: `InputError` when the table has no certify samples, or none of tune for an order that needs them, or a
    ///   group larger than declared.
    /// - Complexity: O(rows), and one betting test for each candidate.
    public init(_ table: LossTable, claim: Claim, certifyUses: Int) throws(InputError) {
        let certifyPart = try Self.part(.certify, of: table)
        var tunePart: LossTable.Part?
        if claim.order != nil {
            tunePart = try Self.part(.tune, of: table)
        } else {
            tunePart = table.parts[.tune]
        }
        (fullCost, fullCostIsGuessed) = Self.fullCost(claim, tune: tunePart ?? certifyPart, table: table)
        let hasGroups = certifyPart.groups != nil
        let size = hasGroups ? claim.maximumGroupSize ?? tunePart?.largestGroup ?? 1 : nil
        func evidence(_ part: LossTable.Part) -> [LossCandidates.Evidence] {
            zip(part.differences, part.costs).map { differences, costs in
                LossCandidates.Evidence(
                    differences: differences, groups: part.groups,
                    meanCost: costs.reduce(0, +) / Double(costs.count))
            }
        }
        let width = claim.range.upperBound - claim.range.lowerBound
        let certifyEvidence = evidence(certifyPart)
        do {
            outcome = try LossCandidates(
                tune: claim.order == nil ? nil : tunePart.map(evidence), certify: certifyEvidence,
                // The dearest candidate is one too: an order leaves out what costs as much as no early exit.
                fullCost: fullCostIsGuessed ? fullCost.nextUp : fullCost
            ).certify(
                allowedGap: claim.allowedGap, range: -width...width, level: claim.level, maximumGroupSize: size,
                seed: claim.seed, order: claim.order ?? .standard)
        } catch {
            throw InputError(
                .outOfRange, file: table.path, item: "certify split", seen: "\(error)",
                expected: "groups of at most \(size ?? 1), and losses in the declared range",
                advice: "Say with --max-group-size how large a group can be, before certifying.")
        }
        self.claim = claim
        candidates = table.candidates
        let full = fullCost
        func told(_ candidate: Int, _ part: LossTable.Part) -> OnSplit {
            OnSplit(candidate, part, evidence: evidence(part)[candidate], fullCost: full)
        }
        tune = tunePart.map { part in table.candidates.indices.map { told($0, part) } }
        guard let chosen = outcome.chosen else {
            (certify, test, certificate) = (nil, nil, nil)
            return
        }
        let onCertify = told(chosen, certifyPart)
        certify = onCertify
        test = table.parts[.test].map { told(chosen, $0) }
        certificate = Certificate(
            kind: claim.isOfSequences ? .sequenceBetting : hasGroups ? .groupBetting : .pairedBetting,
            allowedGap: claim.allowedGap, failureProbability: claim.failureProbability, uses: claim.uses,
            samples: onCertify.samples, harmfulFlips: onCertify.worse, helpfulFlips: onCertify.better,
            pValue: outcome.pValue, candidatesTested: outcome.tested.count, order: claim.order?.rawValue ?? "given",
            certifyUses: certifyUses, speedUp: onCertify.speedUp,
            measuredLoss: .init(
                name: claim.name, unit: claim.unit, smallest: claim.range.lowerBound, largest: claim.range.upperBound,
                candidate: table.candidates[chosen], loss: onCertify.loss, referenceLoss: onCertify.referenceLoss))
    }

    private static func part(_ split: Split, of table: LossTable) throws(InputError) -> LossTable.Part {
        if let part = table.parts[split] { return part }
        throw InputError(
            .missing, file: table.path, item: "split", seen: "no row of the \(split) split",
            expected: split == .tune ? "tune samples, which order the candidates" : "certify samples",
            advice: split == .tune
                ? "With --order given, candidates are tested in the order of the file, fixed without the certify samples."
                : nil)
    }

    private static func fullCost(
        _ claim: Claim, tune: LossTable.Part, table: LossTable
    ) -> (cost: Double, isGuessed: Bool) {
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        if let cost = claim.fullCost { return (cost, false) }
        if let costs = tune.referenceCosts { return (mean(costs), false) }
        return (tune.costs.map(mean).max() ?? 1, true)
    }
}

extension LossCertification.OnSplit {
    /// Counts a candidate's samples.
    init(_ candidate: Int, _ part: LossTable.Part, evidence: LossCandidates.Evidence, fullCost: Double) {
        let losses = part.losses[candidate]
        let count = Double(max(losses.count, 1))
        self.init(
            samples: losses.count, loss: losses.reduce(0, +) / count,
            referenceLoss: part.referenceLosses.reduce(0, +) / count, difference: evidence.meanDifference,
            standardError: evidence.standardError, meanCost: evidence.meanCost, speedUp: fullCost / evidence.meanCost,
            worse: evidence.differences.count { $0 > 0 }, better: evidence.differences.count { $0 < 0 })
    }
}
