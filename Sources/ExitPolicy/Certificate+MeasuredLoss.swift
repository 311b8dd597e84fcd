extension Certificate {
    /// A bounded loss of whole outputs, captions say, that was measured outside and certified in place of errors.
    ///
    /// The claim is then: the mean loss of a `unit` is at most the reference's plus `allowedGap`, which is in the unit of the
    /// loss. Flips count units with a higher and with a lower loss than the reference's.
    public struct MeasuredLoss: Codable, Equatable, Sendable {
        /// What was measured, for example `1 - BLEU-4`.
        public var name: String
        /// What one sample is, for example `image`.
        public var unit: String
        /// The smallest loss that there can be.
        public var smallest: Double
        /// The largest loss that there can be.
        public var largest: Double
        /// The candidate that was certified, as the table of losses calls it.
        public var candidate: String
        /// Its mean loss on certify.
        public var loss: Double
        /// The reference's mean loss on certify.
        public var referenceLoss: Double

        /// Creates a description.
        public init(
            name: String, unit: String, smallest: Double, largest: Double, candidate: String, loss: Double,
            referenceLoss: Double
        ) {
            self.name = name
            self.unit = unit
            self.smallest = smallest
            self.largest = largest
            self.candidate = candidate
            self.loss = loss
            self.referenceLoss = referenceLoss
        }
    }
}
