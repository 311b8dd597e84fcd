import Evaluation
import Statistics
import Testing

@testable import RiskControl

/// Levels and powers of the trinomial test, summed over all outcomes; nothing is drawn.
@Suite("The level and power of the exact trinomial test")
struct ExactTrinomialLevelTests {
    /// Flip rates from 0.2 % to 30 %: P(c); P(b) is that plus the allowed gap.
    static let helpfulRates = [0, 0.0005, 0.001, 0.002, 0.004, 0.007, 0.012, 0.02, 0.035, 0.06, 0.1, 0.15, 0.22, 0.3]

    /// The largest level at the boundary of the null, and at points inside.
    static func level(_ table: RejectionTable, gap: Double) -> Double {
        let boundary = helpfulRates.map { helpful in
            helpful + gap == 0 ? 0 : table.probability(harmfulRate: helpful + gap, helpfulRate: helpful)
        }
        let inside = helpfulRates.map { helpful in
            table.probability(harmfulRate: helpful * 1.3 + gap + 0.002, helpfulRate: helpful)
        }
        return max(boundary.max()!, inside.max()!)
    }

    @Test(
        "the level is at most delta for every n, flip rate and allowed gap",
        arguments: [1, 2, 5, 13, 40, 150, 500, 1000], [0, 0.0025, 0.005, 0.01, 0.02])
    func level(samples: Int, gap: Double) {
        let test = ExactTrinomialTest(allowedGap: gap)
        for delta in samples < 500 ? [0.01, 0.05, 0.1] : [0.05] {
            let lines = RejectionTable.lines(samples: samples, discordance: min(1, 0.62 + gap)).upperBound
            let table = RejectionTable(samples: samples, lines: 0...lines) { test.isRejected($0, at: delta) }
            let level = Self.level(table, gap: gap)
            #expect(level <= delta, "n \(samples), gap \(gap), delta \(delta): \(level)")
            #expect(samples < 1000 || level > 0.9 * delta, "a test that never rejects would pass above: \(level)")
        }
    }

    @Test("the same sum catches a conditional test that takes the observed discordance for the true one")
    func bareConditionalTest() {
        let gap = 0.01
        let table = RejectionTable(samples: 1000, lines: 0...400) { counts in
            let discordant = counts.harmfulFlips + counts.helpfulFlips
            let share = discordant == 0 ? 1 : min(1, (1 + gap * 1000 / Double(discordant)) / 2)
            return Binomial(trials: discordant, probability: share).lowerTail(through: counts.harmfulFlips) <= 0.05
        }
        let rates = Self.helpfulRates.filter { $0 <= 0.1 }
        let level = rates.map { table.probability(harmfulRate: $0 + gap, helpfulRate: $0) }.max()!
        #expect(level > 0.06, "\(level)")
    }

    @Test("the same sum catches the score compared with a normal quantile", arguments: [0.0, 0.01])
    func normalApproximation(gap: Double) {
        let score = TrinomialScore(samples: 150, gap: gap)
        let quantile = Normal.quantile(0.05)
        let table = RejectionTable(samples: 150) {
            score(harmful: $0.harmfulFlips, helpful: $0.helpfulFlips) <= quantile
        }
        #expect(Self.level(table, gap: gap) > 0.051)
    }

    /// A design with the power asked for.
    struct Design: Sendable, CustomTestStringConvertible {
        var samples: Int
        var harmfulRate: Double
        var helpfulRate: Double
        var gap: Double
        var power: Double
        var testDescription: String { "n \(samples), P(b) \(harmfulRate), P(c) \(helpfulRate), gap \(gap)" }
    }

    @Test(
        "its power is what the exact test can have",
        arguments: [
            Design(samples: 1000, harmfulRate: 0.02, helpfulRate: 0.04, gap: 0, power: 0.827),
            Design(samples: 5000, harmfulRate: 0.02, helpfulRate: 0.03, gap: 0, power: 0.92),
            Design(samples: 1000, harmfulRate: 0.02, helpfulRate: 0.03, gap: 0.01, power: 0.87),
            Design(samples: 1000, harmfulRate: 0.005, helpfulRate: 0.005, gap: 0.01, power: 0.87),
            Design(samples: 1000, harmfulRate: 0.01, helpfulRate: 1e-12, gap: 0.02, power: 0.785),
        ])
    func power(design: Design) {
        let lines = RejectionTable.lines(
            samples: design.samples, discordance: design.harmfulRate + design.helpfulRate)
        let table = RejectionTable(samples: design.samples, lines: lines) {
            ExactTrinomialTest(allowedGap: design.gap).isRejected($0, at: 0.05)
        }
        let power = table.probability(harmfulRate: design.harmfulRate, helpfulRate: design.helpfulRate)
        #expect(power >= design.power && power < 1, "\(power)")
    }

    @Test("at an allowed gap of 0 it is stronger than McNemar's exact test, so it is the default")
    func strongest() throws {
        for (samples, harmful, helpful) in [(1000, 0.02, 0.04), (5000, 0.02, 0.03), (1000, 0.001, 0.01)] {
            let lines = RejectionTable.lines(samples: samples, discordance: harmful + helpful)
            let power = PairedTest.allCases.map { test in
                let table = RejectionTable(samples: samples, lines: lines) {
                    test.isRejected($0, allowedGap: 0, at: 0.05)
                }
                return (test, table.probability(harmfulRate: harmful, helpfulRate: helpful))
            }
            #expect(try #require(power.max { $0.1 < $1.1 }).0 == PairedTest.strongest, "\(power)")
        }
    }
}
