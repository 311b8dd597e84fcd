/// Tests hypotheses along a plan that was fixed beforehand; the level moves on with every rejection.
///
/// Each start of the plan has an equal part of the level. A candidate is tested at what its predecessor hands on plus
/// what starts there; when it is rejected it hands all of that on, and nothing otherwise. With one start this is the
/// fixed sequence: every candidate at the full level, until one is not rejected. Several starts lower the bar's height
/// to its number of parts, and survive a failure.
///
/// The probability that any true null hypothesis is rejected is at most the level, for any dependence between the
/// tests. It needs that the plan was fixed without the data of the tests. An order taken from the same p-values ("best
/// first") voids it.
///
/// - Reference: Wiens (2003), "A fixed sequence Bonferroni procedure for testing multiple endpoints"; Wiens and
///   Dmitrienko (2005); a graphical procedure in the sense of Bretz, Maurer, Brannath and Posch (2009). For risk control
///   Angelopoulos, Bates, Candes, Jordan and Lei (2021), "Learn then Test", section 4.
public struct FallbackProcedure: Equatable, Sendable {
    /// The probability with which a true null may be rejected, in (0, 1).
    public let level: Double

    /// What a walk found.
    public struct Outcome: Equatable, Sendable {
        /// All candidates tested, in order.
        public let tested: [Int]
        /// The candidates that were rejected as "worse than allowed", in order: certified, all at the same time.
        public let passed: [Int]
        /// The level at which the last of `passed` was tested; 0 when there is none.
        public let lastLevel: Double

        /// The last candidate that passed: along an order from safe to fast, the fastest that is certified. Nil when
        /// none did.
        public var last: Int? { passed.last }
    }

    /// Creates a procedure.
    public init(level: Double) {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        self.level = level
    }

    /// Walks along a plan.
    ///
    /// - Parameters:
    ///   - plan: fixed without the data of the tests.
    ///   - isRejected: whether "worse than allowed" is rejected for a candidate at a level; asked only when the walk
    ///     gets there.
    /// - Complexity: one test for each candidate that has any of the level.
    public func walk(
        along plan: CandidatePlan, isRejected: (_ candidate: Int, _ level: Double) throws -> Bool
    ) rethrows -> Outcome {
        var tested: [Int] = []
        var passed: [Int] = []
        var lastLevel = 0.0
        // In parts of the level: all of them together are the level to the last bit.
        var parts = 0
        var starts = plan.starts[...]
        for (position, candidate) in plan.candidates.enumerated() {
            if starts.first == position {
                parts += 1
                starts.removeFirst()
            }
            if parts == 0 {
                if starts.isEmpty { break }
                continue
            }
            tested.append(candidate)
            let own = parts == plan.starts.count ? level : level * Double(parts) / Double(plan.starts.count)
            if try isRejected(candidate, own) {
                passed.append(candidate)
                lastLevel = own
            } else {
                parts = 0
            }
        }
        return Outcome(tested: tested, passed: passed, lastLevel: lastLevel)
    }
}
