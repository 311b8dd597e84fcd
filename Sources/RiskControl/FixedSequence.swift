/// Tests hypotheses in an order fixed beforehand, each at the full level, until one is not rejected.
///
/// The probability that any true null hypothesis is rejected is at most the level, for any dependence between the
/// tests: to reject a true null the walk must first come to one, and the first true null in the order is rejected with
/// probability at most the level. It needs that the order was fixed without the data of the tests. An order taken from
/// the same p-values ("best first") voids it.
///
/// - Reference: Maurer, Hothorn and Lehmacher (1995); for risk control, Angelopoulos, Bates, Candes, Jordan and Lei
///   (2021), "Learn then Test", section 4.
public struct FixedSequence: Equatable, Sendable {
    /// The probability with which a true null may be rejected, in (0, 1).
    public let level: Double

    /// A candidate that was tested.
    public struct Step: Equatable, Sendable {
        /// The candidate, as the order named it.
        public let candidate: Int
        /// Its p-value.
        public let pValue: Double

        /// Creates a step.
        public init(candidate: Int, pValue: Double) {
            self.candidate = candidate
            self.pValue = pValue
        }
    }

    /// What a walk found.
    public struct Outcome: Equatable, Sendable {
        /// All candidates tested, in order: those that passed, then the one that failed, if any did.
        public let tested: [Step]
        /// The candidates that passed, in order. All of them are certified, at the same time.
        public let passed: [Step]

        /// The last candidate that passed: along an order from safe to fast, the fastest that is certified. Nil when
        /// the first failed or there was none.
        public var last: Step? { passed.last }
    }

    /// Creates a procedure.
    public init(level: Double) {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        self.level = level
    }

    /// Walks along an order.
    ///
    /// - Parameters:
    ///   - order: candidates, none of them twice, in an order that does not depend on the data of the tests.
    ///   - pValue: the p-value of a candidate, in 0...1; asked for only when the walk gets there.
    /// - Complexity: one p-value for each candidate passed, and one more.
    public func walk(
        along order: some Sequence<Int>, pValue: (_ candidate: Int) throws -> Double
    ) rethrows -> Outcome {
        var tested: [Step] = []
        var passed: [Step] = []
        for candidate in order {
            let step = Step(candidate: candidate, pValue: try pValue(candidate))
            precondition((0...1).contains(step.pValue), "a p-value lies in 0...1")
            tested.append(step)
            guard step.pValue <= level else { break }
            passed.append(step)
        }
        return Outcome(tested: tested, passed: passed)
    }
}
