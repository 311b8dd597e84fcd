import ExitPolicy
import ExitRules
import RiskControl

extension Recipe {
    /// What is to be certified.
    public struct Guarantee: Equatable, Sendable {
        /// The largest risk gap accepted, a fraction.
        public var allowedGap: Double
        /// The probability, over the draw of the certify split, of certifying a policy with a larger gap.
        public var failureProbability: Double
        /// What policies are compared with.
        public var reference: ReferenceChoice
        /// What counts against a policy.
        public var loss: PolicyLoss
        /// Parts of the population for which the guarantee is wanted too.
        public var parts: PartsChoice?
        /// The largest group of samples that can occur; nil is the largest in train and tune.
        public var maximumGroupSize: Int?
        /// How many uses of the certify split the failure probability is divided over.
        public var uses: Int
        /// How the tune split orders candidates.
        public var order: CandidateOrder

        /// Creates a guarantee; the defaults are the recipe's.
        public init(
            allowedGap: Double = 0, failureProbability: Double = 0.05, reference: ReferenceChoice = .final,
            loss: PolicyLoss = .error, parts: PartsChoice? = nil, maximumGroupSize: Int? = nil, uses: Int = 1,
            order: CandidateOrder = .standard
        ) {
            self.allowedGap = allowedGap
            self.failureProbability = failureProbability
            self.reference = reference
            self.loss = loss
            self.parts = parts
            self.maximumGroupSize = maximumGroupSize
            self.uses = uses
            self.order = order
        }

        /// The level of this use's tests.
        public var level: Double { failureProbability / Double(uses) }
    }

    /// What policies are compared with.
    public enum ReferenceChoice: Equatable, Sendable {
        /// The final layer.
        case final
        /// One exit, 0-based.
        case exit(Int)
        /// The exit with the lowest error rate on tune; of several the last.
        case best
    }

    /// Parts of the population, and what is wanted of them.
    public struct PartsChoice: Equatable, Sendable {
        /// What the parts are.
        public var partition: Certificate.Parts.Partition
        /// What is wanted of them.
        public var demand: Certificate.Parts.Demand

        /// Creates a choice.
        public init(partition: Certificate.Parts.Partition, demand: Certificate.Parts.Demand) {
            self.partition = partition
            self.demand = demand
        }
    }
}
