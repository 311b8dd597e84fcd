extension Certificate {
    /// What was shown of the parts of the population: classes, or groups of users.
    public struct Parts: Codable, Equatable, Sendable {
        /// What the parts are.
        public enum Partition: String, Codable, CaseIterable, Sendable {
            /// Samples of one true class.
            case classes
            /// Samples of one subgroup of the cache.
            case subgroups
        }

        /// What a certificate says of parts.
        public enum Demand: String, Codable, CaseIterable, Sendable {
            /// No part's gap is above the allowed one, or there is no certificate.
            case all
            /// No gap of a part that is marked as certified is above the allowed one: all of those statements together
            /// err with probability at most `failureProbability`, beside that of the whole.
            case each
        }

        /// One part.
        public struct Member: Codable, Equatable, Sendable {
            /// The name of the class or subgroup.
            public var name: String
            /// How many samples of certify it has.
            public var samples: Int
            /// Early wrong and reference right, among them.
            public var harmfulFlips: Int
            /// Early right and reference wrong, among them.
            public var helpfulFlips: Int
            /// Whether the certificate covers it.
            public var isCertified: Bool

            /// Creates a part.
            public init(name: String, samples: Int, harmfulFlips: Int, helpfulFlips: Int, isCertified: Bool) {
                self.name = name
                self.samples = samples
                self.harmfulFlips = harmfulFlips
                self.helpfulFlips = helpfulFlips
                self.isCertified = isCertified
            }
        }

        /// What the parts are.
        public var partition: Partition
        /// What is said of them.
        public var demand: Demand
        /// The parts, in the order of the classes or subgroups.
        public var members: [Member]

        /// Creates parts.
        public init(partition: Partition, demand: Demand, members: [Member]) {
            self.partition = partition
            self.demand = demand
            self.members = members
        }
    }
}
