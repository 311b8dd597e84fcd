import Evaluation

/// The constraint of the threshold problem: a risk gap of at most epsilon on the table at hand.
///
/// A statement about the split that was searched, not about fresh data: that is what certificates are for.
public struct RiskConstraint: Equatable, Sendable {
    /// The largest risk gap the user accepts, epsilon, a fraction in 0...1.
    public let allowedGap: Double

    /// Creates a constraint.
    public init(allowedGap: Double) {
        precondition((0...1).contains(allowedGap), "an allowed gap is a fraction in 0...1")
        self.allowedGap = allowedGap
    }

    /// Whether these counts obey the constraint.
    public func admits(_ counts: PairedCounts) -> Bool {
        counts.harmfulFlips - counts.helpfulFlips <= largestExcess(samples: counts.samples)
    }

    /// The largest `b - c` among `samples` whose gap, as reported, is at most epsilon.
    ///
    /// Searches compare integers with this one. It is defined through the correctly rounded quotient, not through
    /// `epsilon * samples`: 0.29 of 100 samples is 29, although the product in Double is 28.999999999999996.
    public func largestExcess(samples: Int) -> Int {
        precondition(samples >= 0, "a number of samples is not negative")
        if samples == 0 { return 0 }
        var excess = Int(allowedGap * Double(samples))
        // The product errs by less than one sample either way.
        while excess < samples, Double(excess + 1) / Double(samples) <= allowedGap { excess += 1 }
        while excess > 0, Double(excess) / Double(samples) > allowedGap { excess -= 1 }
        return excess
    }
}
