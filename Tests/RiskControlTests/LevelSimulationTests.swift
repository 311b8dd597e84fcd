import Evaluation
import RiskControl
import Statistics
import Testing

/// The level of the whole procedure, by simulation on candidates whose gap is exactly 0: whatever is certified there is
/// an error, or as near to one as the null allows, so it may happen in at most delta of the draws.
@Suite("The level of the procedure, simulated")
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

    /// What the tune split says of the candidates, as for a certify split of 200 samples.
    static func evidence(_ tune: [PairedCounts]) -> CandidateOrder.Evidence {
        CandidateOrder.Evidence(
            z: tune.map { gapZ($0, allowedGap: 0) }, pValues: tune.map(exactBinomialPValue), costs: costs,
            fullCost: Double(candidateCount + 1), sampleRatio: 200 / 150, level: delta)
    }

    private static let memory = RejectionMemory()

    /// The test of the procedure: the strongest there is, so that its level is as near to delta as it gets.
    static func isRejected(_ counts: PairedCounts, at level: Double) -> Bool {
        memory.isRejected(counts, by: ExactTrinomialTest(allowedGap: 0), at: level)
    }

    static func certifiesAnything(plan: CandidatePlan, counts: [PairedCounts]) -> Bool {
        FallbackProcedure(level: delta).walk(along: plan) { isRejected(counts[$0], at: $1) }.last != nil
    }

    @Test("is at most delta when tune orders and certify tests", arguments: CandidateOrder.allCases)
    func holds(order: CandidateOrder) {
        let draws = 3000
        let rate = Self.errorRate(draws: draws, seed: 1) { tune, certify in
            Self.certifiesAnything(plan: order.plan(Self.evidence(tune)), counts: certify)
        }
        #expect(Self.holdsLevel(rate, draws: draws), "\(rate)")
        #expect(rate > Self.delta / 5, "a procedure that never certifies would pass above: \(rate)")
    }

    @Test("is caught when the certify split itself orders: best first")
    func orderedByCertify() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 2) { _, certify in
            Self.certifiesAnything(plan: CandidateOrder.tuneP.plan(Self.evidence(certify)), counts: certify)
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }

    @Test("is caught when every candidate is tested and the fastest that passes is taken")
    func noOrder() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 3) { _, certify in
            certify.contains { Self.isRejected($0, at: Self.delta) }
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }

    @Test("is caught when the split that ordered also tests")
    func certifiedOnTune() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 4) { tune, _ in
            Self.certifiesAnything(plan: CandidateOrder.tuneZ.plan(Self.evidence(tune)), counts: tune)
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }

    /// The whole path, and four starts spread over it.
    private static let spread = CandidatePlan(candidates: Array(0..<candidateCount), starts: [0, 4, 10, 24])

    @Test("is at most delta when it is divided over several starts")
    func dividedStarts() {
        let draws = 3000
        let rate = Self.errorRate(draws: draws, seed: 5) { _, certify in
            Self.certifiesAnything(plan: Self.spread, counts: certify)
        }
        #expect(Self.holdsLevel(rate, draws: draws), "\(rate)")
        #expect(rate > Self.delta / 5, "\(rate)")
    }

    @Test("is caught when several starts each have the whole level")
    func undividedStarts() {
        let draws = 3000
        let rate = Self.errorRate(draws: draws, seed: 5) { _, certify in
            Self.spread.starts.contains { start in
                let rest = CandidatePlan(candidates: Array(Self.spread.candidates[start...]))
                return Self.certifiesAnything(plan: rest, counts: certify)
            }
        }
        #expect(!Self.holdsLevel(rate, draws: draws), "\(rate)")
    }
}

/// The level of chains side by side, on four parts of a population in each of which every candidate has a gap of
/// exactly 0.
@Suite("The level of parallel chains, simulated")
struct ParallelChainsLevelTests {
    static let parts = 4

    /// The share of draws in which a procedure certifies anything in any part.
    static func errorRate(draws: Int, seed: UInt64, procedure: (_ parts: [[PairedCounts]]) -> Bool) -> Double {
        var generator = SplitMix64(seed: seed)
        var errors = 0
        for _ in 0..<draws {
            let counts = (0..<parts).map { _ in LevelSimulationTests.counts(samples: 200, using: &generator) }
            if procedure(counts) { errors += 1 }
        }
        return Double(errors) / Double(draws)
    }

    /// How far each chain comes; hypothesis j of a chain is "worse than allowed" for candidate j of its part.
    static func reaches(_ parts: [[PairedCounts]], length: Int) -> [ParallelChains.Reach] {
        // The fastest candidates: they differ from the final layer often enough to be tested at a quarter of delta.
        let first = LevelSimulationTests.candidateCount - length
        return ParallelChains(level: LevelSimulationTests.delta).walk(chains: parts.count, length: length) {
            LevelSimulationTests.isRejected(parts[$0][first + $1], at: $2)
        }
    }

    @Test("is at most delta, also where chains are so short that what they hand on matters", arguments: [1, 12])
    func holds(length: Int) {
        let draws = 3000
        let rate = Self.errorRate(draws: draws, seed: 6) { parts in
            Self.reaches(parts, length: length).contains { $0.count > 0 }
        }
        #expect(LevelSimulationTests.holdsLevel(rate, draws: draws), "\(rate)")
        #expect(rate > LevelSimulationTests.delta / 5, "\(rate)")
    }

    @Test("is caught when every chain has the whole level")
    func undivided() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 7) { parts in
            parts.contains { Self.reaches([$0], length: 12)[0].count > 0 }
        }
        #expect(!LevelSimulationTests.holdsLevel(rate, draws: draws), "\(rate)")
    }

    @Test("is caught when a chain hands its part on from where it stopped, a place that depends on the data")
    func handedOnFromAnywhere() {
        let draws = 1000
        let rate = Self.errorRate(draws: draws, seed: 8) { parts in
            // Each part passes all it has to the next one once it has certified what it can.
            parts.enumerated().contains { position, part in
                let level = LevelSimulationTests.delta * Double(position + 1) / Double(parts.count)
                let plan = CandidatePlan(candidates: Array((LevelSimulationTests.candidateCount - 12)..<part.count))
                return FallbackProcedure(level: level).walk(along: plan) {
                    LevelSimulationTests.isRejected(part[$0], at: $1)
                }.last != nil
            }
        }
        #expect(!LevelSimulationTests.holdsLevel(rate, draws: draws), "\(rate)")
    }
}
