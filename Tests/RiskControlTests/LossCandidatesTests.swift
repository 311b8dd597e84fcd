import Foundation
import Statistics
import Testing

@testable import RiskControl

@Suite("Candidates with paired losses")
struct LossCandidatesTests {
    static let gap = 0.02
    static let delta = 0.05

    /// A distribution of paired differences in -1...1 whose mean is the allowed gap: at the edge of what is not allowed.
    struct Source: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var draw: @Sendable (inout SplitMix64) -> Double
    }

    static func uniform(_ generator: inout SplitMix64) -> Double { BettingLevelTests.uniform(&generator) }

    static let sources = [
        Source(testDescription: "bounded, anywhere in the range") { gap + 0.98 * (2 * uniform(&$0) - 1) },
        Source(testDescription: "skewed: rare large losses") { uniform(&$0) < 0.04 ? 1 : (gap - 0.04) / 0.96 },
        Source(testDescription: "skewed: rare large gains") { uniform(&$0) < 0.03 ? -1 : (gap + 0.03) / 0.97 },
        Source(testDescription: "mostly zero") {
            let u = uniform(&$0)
            return u < 0.9 ? 0 : u < 0.95 ? 0.9 * uniform(&$0) : 2 * gap / 0.1 - 0.9 * uniform(&$0)
        },
    ]

    /// Candidates that all lose just what is allowed. They share part of their noise, as policies of one network do.
    static func candidates(
        _ source: Source, count: Int, samples: (tune: Int, certify: Int), using generator: inout SplitMix64
    ) -> LossCandidates {
        func evidence(_ samples: Int) -> [LossCandidates.Evidence] {
            let common = (0..<samples).map { _ in source.draw(&generator) }
            return (0..<count).map { candidate in
                let differences = common.map { own in
                    generator.next() & 1 == 0 ? own : source.draw(&generator)
                }
                return LossCandidates.Evidence(differences: differences, meanCost: Double(count - candidate))
            }
        }
        return LossCandidates(
            tune: evidence(samples.tune), certify: evidence(samples.certify), fullCost: Double(count + 1))
    }

    static func rate(_ draws: Int, seed: UInt64, isWrong: (inout SplitMix64) -> Bool) -> Double {
        var generator = SplitMix64(seed: seed)
        return Double((0..<draws).count { _ in isWrong(&generator) }) / Double(draws)
    }

    static func holds(_ rate: Double, draws: Int) -> Bool {
        rate <= delta + 3 * (delta * (1 - delta) / Double(draws)).squareRoot()
    }

    @Test("are certified wrongly with probability at most delta, in 10,000 draws", arguments: sources)
    func level(source: Source) {
        let rate = Self.rate(10_000, seed: 31) { generator in
            let candidates = Self.candidates(source, count: 4, samples: (60, 120), using: &generator)
            return try! candidates.certify(
                allowedGap: Self.gap, range: -1...1, level: Self.delta, seed: generator.next()
            ).chosen != nil
        }
        #expect(Self.holds(rate, draws: 10_000), "\(rate)")
    }

    @Test("would be certified wrongly far more often if each were tested and any that passed taken")
    func noOrder() {
        let rate = Self.rate(2000, seed: 32) { generator in
            let candidates = Self.candidates(Self.sources[0], count: 12, samples: (60, 120), using: &generator)
            let test = PairedBettingTest(allowedGap: Self.gap, seed: generator.next())
            return candidates.certify.contains { try! test.pValue(differences: $0.differences) <= Self.delta }
        }
        #expect(!Self.holds(rate, draws: 2000), "\(rate)")
    }

    @Test("that lose nothing are certified, and the cheapest is taken that does not lose too much")
    func power() throws {
        let chosen = try (0..<200).map { draw in
            var generator = SplitMix64(seed: UInt64(draw))
            func evidence(_ samples: Int) -> [LossCandidates.Evidence] {
                [0, 0.003, 0.006, 0.06].enumerated().map { candidate, mean in
                    LossCandidates.Evidence(
                        differences: (0..<samples).map { _ in mean + 0.2 * (Self.uniform(&generator) - 0.5) },
                        meanCost: Double(4 - candidate))
                }
            }
            return try LossCandidates(tune: evidence(300), certify: evidence(600), fullCost: 5).certify(
                allowedGap: Self.gap, range: -1...1, level: Self.delta, seed: 1
            ).chosen
        }
        #expect(chosen.count { $0 == 2 } > 150, "\(chosen.count { $0 == 2 })")
        #expect(!chosen.contains(3), "it loses three times what is allowed")
    }

    @Test("are tested by the betting test, each at the full level, until one fails")
    func walk() throws {
        var generator = SplitMix64(seed: 33)
        for draw in 0..<100 {
            let candidates = Self.candidates(Self.sources[draw % 4], count: 5, samples: (80, 160), using: &generator)
            let allowed = 0.15
            let outcome = try candidates.certify(allowedGap: allowed, range: -1...1, level: 0.2, seed: 9)
            let test = PairedBettingTest(allowedGap: allowed, seed: 9, level: 0.2)
            var expected: [Int] = []
            for candidate in outcome.planned {
                guard try test.pValue(differences: candidates.certify[candidate].differences) <= 0.2 else { break }
                expected.append(candidate)
            }
            #expect(outcome.passed == expected)
            #expect(outcome.tested == Array(outcome.planned.prefix(expected.count + 1)))
            let last = try expected.last.map { try test.pValue(differences: candidates.certify[$0].differences) }
            #expect(outcome.pValue == last ?? 1)
            let costs = outcome.planned.map { candidates.tune![$0].meanCost }
            #expect(zip(costs, costs.dropFirst()).allSatisfy(>))
        }
    }

    @Test("without tune samples are tested in the order given")
    func given() throws {
        var generator = SplitMix64(seed: 34)
        let drawn = Self.candidates(Self.sources[3], count: 4, samples: (1, 100), using: &generator)
        let outcome = try LossCandidates(tune: nil, certify: drawn.certify, fullCost: 9)
            .certify(allowedGap: 0.9, range: -1...1, level: 0.1, seed: 1)
        #expect(outcome.planned == [0, 1, 2, 3] && outcome.passed == outcome.planned)
    }

    @Test("in groups have the group as the unit, and a group that is too large is an error")
    func groups() throws {
        let differences = (0..<60).map { $0 % 3 == 0 ? -0.5 : 0.1 }
        let groups = (0..<60).map { $0 / 4 }
        let evidence = LossCandidates.Evidence(differences: differences, groups: groups, meanCost: 1)
        let candidates = LossCandidates(tune: nil, certify: [evidence], fullCost: 2)
        let outcome = try candidates.certify(
            allowedGap: 0.1, range: -1...1, level: 0.5, maximumGroupSize: 4, seed: 3)
        let plain = try PairedBettingTest(allowedGap: 0.1, seed: 3, level: 0.5)
            .pValue(differences: differences, groups: groups, maximumGroupSize: 4)
        #expect(outcome.passed == (plain <= 0.5 ? [0] : []) && (outcome.passed.isEmpty || outcome.pValue == plain))
        #expect(throws: RiskControlError.groupTooLarge(group: 0, size: 4, maximum: 3)) {
            try candidates.certify(allowedGap: 0.1, range: -1...1, level: 0.5, maximumGroupSize: 3, seed: 3)
        }
        // By hand: the mean is -0.1; fifteen groups of four, with one or two low ones.
        let mean = evidence.meanDifference
        #expect(abs(mean + 0.1) < 1e-12)
        let sums = (0..<15).map { group in (0..<4).reduce(0.0) { $0 + differences[4 * group + $1] - mean } }
        let error = (sums.reduce(0) { $0 + $1 * $1 } * 15 / 14).squareRoot() / 60
        #expect(abs(try #require(evidence.standardError) - error) < 1e-12)
    }

    @Test("with a difference outside the range are refused, also where it would not have been looked at")
    func outside() {
        let good = LossCandidates.Evidence(differences: Array(repeating: 0.5, count: 30), meanCost: 2)
        let bad = LossCandidates.Evidence(differences: [0, 1.5, 0], meanCost: 1)
        let candidates = LossCandidates(tune: nil, certify: [good, bad], fullCost: 3)
        #expect(throws: RiskControlError.differenceOutsideRange(sample: 1, value: 1.5, range: -1...1)) {
            try candidates.certify(allowedGap: 0, range: -1...1, level: 0.05, seed: 1)
        }
    }
}
