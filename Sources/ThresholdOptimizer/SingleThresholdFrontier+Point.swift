extension SingleThresholdFrontier {
    /// One policy of the frontier.
    public struct Point: Sendable {
        // Millions of points are usual, so they are kept in 24 bytes: NaN for no threshold, and 32-bit counts.
        private let value: Double
        /// The cost of all samples.
        public let costSum: Double
        private let harmful: Int32
        private let helpful: Int32

        @inline(__always)
        init(threshold: Double?, costSum: Double, harmfulFlips: Int, helpfulFlips: Int) {
            value = threshold ?? .nan
            self.costSum = costSum
            harmful = Int32(harmfulFlips)
            helpful = Int32(helpfulFlips)
        }

        /// The shared threshold, midway between the scores that bound the policy; nil is "never leave early".
        public var threshold: Double? { value.isNaN ? nil : value }
        /// Early wrong and final right.
        public var harmfulFlips: Int { Int(harmful) }
        /// Early right and final wrong.
        public var helpfulFlips: Int { Int(helpful) }
    }
}

extension SingleThresholdFrontier.Point: Equatable {
    /// Whether two points are the same policy with the same outcome.
    public static func == (left: Self, right: Self) -> Bool {
        left.threshold == right.threshold && left.costSum == right.costSum
            && left.harmfulFlips == right.harmfulFlips && left.helpfulFlips == right.helpfulFlips
    }
}
