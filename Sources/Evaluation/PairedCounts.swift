/// How a policy's labels and the final layer's compare on the same samples.
public struct PairedCounts: Equatable, Sendable, Codable {
    /// How many samples were compared.
    public var samples: Int
    /// Early wrong and final right: b.
    public var harmfulFlips: Int
    /// Early right and final wrong: c.
    public var helpfulFlips: Int

    /// Creates counts.
    public init(samples: Int, harmfulFlips: Int, helpfulFlips: Int) {
        precondition(harmfulFlips >= 0 && helpfulFlips >= 0, "counts are not negative")
        precondition(harmfulFlips + helpfulFlips <= samples, "no more flips than samples")
        self.samples = samples
        self.harmfulFlips = harmfulFlips
        self.helpfulFlips = helpfulFlips
    }

    /// Compares sample by sample.
    public init(isCorrect: some Collection<Bool>, referenceIsCorrect: some Collection<Bool>) {
        precondition(isCorrect.count == referenceIsCorrect.count, "pairs of the same samples")
        var harmful = 0
        var helpful = 0
        for (own, reference) in zip(isCorrect, referenceIsCorrect) where own != reference {
            if own { helpful += 1 } else { harmful += 1 }
        }
        self.init(samples: isCorrect.count, harmfulFlips: harmful, helpfulFlips: helpful)
    }

    /// The counts of two sets of samples together.
    public static func + (first: PairedCounts, second: PairedCounts) -> PairedCounts {
        PairedCounts(
            samples: first.samples + second.samples, harmfulFlips: first.harmfulFlips + second.harmfulFlips,
            helpfulFlips: first.helpfulFlips + second.helpfulFlips)
    }

    /// `(b - c) / n`: error rate of the policy minus error rate of the reference on these samples; 0 without samples.
    public var riskGap: Double {
        samples == 0 ? 0 : Double(harmfulFlips - helpfulFlips) / Double(samples)
    }
}
