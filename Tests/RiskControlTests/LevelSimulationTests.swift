import Evaluation
import RiskControl
import Statistics
import Testing

/// The level of the whole procedure, by simulation on candidates whose gap is exactly 0: whatever is certified there is
/// an error, or as near to one as the null allows, so it may happen in at most delta of the draws.
@Suite("The level of the fixed-sequence procedure")
struct LevelSimulationTests {
    static let candidateCount = 25
    static let costs = (0..<candidateCount).map { Double(candidateCount - $0) }
    static let delta = 0.05

    /// Paired counts of nested candidates on one split, as along a falling threshold: each discordant sample flips at a
    /// random candidate and stays flipped for all faster ones, to either side with equal probability.
    static func counts(samples: Int, using generator: inout SplitMix64) -> [PairedCounts] {
        var harmful = Array(repeating: 0, count: candidateCount)
        var helpful = harmful
        for _ in 0..<samples {
            let bits = generator.next()
            // About 39 % of the samples flip somewhere.
            let place = Int(bits >> 58)
            guard place < candidateCount else { continue }
            if bits & 1 == 0 { harmful[place] += 1 } else { helpful[place] += 1 }
        }
        for index in 1..<candidateCount {
            harmful[index] += harmful[index - 1]
            helpful[index] += helpful[index - 1]
        }
        return zip(harmful, helpful).map { PairedCounts(samples: samples, harmfulFlips: $0, helpfulFlips: $1) }
    }

    /// The share of draws in which a procedure certifies anything.
    static func errorRate(
        draws: Int, seed: UInt64, procedure: (_ tune: [PairedCounts], _ certify: [PairedCounts]) -> Bool
    ) -> Double {
        var generator = SplitMix64(seed: seed)
        var errors = 0
        for _ in 0..<draws {
            let tune = counts(samples: 150, using: &generator)
            let certify = counts(samples: 200, using: &generator)
            if procedure(tune, certify) { errors += 1 }
        }
        return Double(errors) / Double(draws)
    }

    /// Whether an error rate is no more than delta allows, with three standard errors for the simulation.
    static func holdsLevel(_ rate: Double, draws: Int) -> Bool {
        rate <= delta + 3 * (delta * (1 - delta) / Double(draws)).squareRoot()
    }

    static func certifiesAnything(order: [Int], counts: [PairedCounts]) -> Bool {
        FixedSequence(level: delta).walk(along: order) { exactBinomialPValue(counts[$0]) }.last != nil
    }

    @Test("is at most delta when tune orders and certify tests", arguments: CandidateOrder.allCases)
    func holds(order: CandidateOrder) {
        let draws = 3000
        let rate = Self.errorRate(draws: draws, seed: 1) { tune, certify in
            Self.certifiesAnything(order: order.candidates(counts: tune, costs: Self.costs), counts: certify)
        }
        #expect(Self.holdsLevel(rate, draws: draws), "\(rate)")
        #expect(rate > Self.delta / 5, "a procedure that never certifies would pass above: \(rate)")
    }

    @Test("is caught when the certify split itself orders: best first")
    func orderedByCertify() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 2) { _, certify in
            let order = CandidateOrder.tunePValue.candidates(counts: certify, costs: Self.costs)
            return Self.certifiesAnything(order: order, counts: certify)
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }

    @Test("is caught when every candidate is tested and the fastest that passes is taken")
    func noOrder() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 3) { _, certify in
            certify.contains { exactBinomialPValue($0) <= Self.delta }
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }

    @Test("is caught when the split that ordered also tests")
    func certifiedOnTune() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 4) { tune, _ in
            Self.certifiesAnything(
                order: CandidateOrder.tuneZ.candidates(counts: tune, costs: Self.costs), counts: tune)
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }
}
