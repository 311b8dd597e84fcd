import Foundation
import Statistics
import Testing

@testable import RiskControl

/// Audited samples whose mean given the past is at most ``gap``: the worst of the null, or near it.
struct AuditSource: Sendable, CustomTestStringConvertible {
    static let gap = 0.05

    var testDescription: String
    var range: ClosedRange<Double>
    /// The next difference, from a uniform number and the difference before.
    var next: @Sendable (_ uniform: Double, _ previous: Double) -> Double

    func grid(horizon: Double) -> BetGrid { BetGrid(allowedGap: Self.gap, range: range, horizon: horizon) }

    /// 1 with probability `harmful`, -1 with probability `helpful`.
    static func flip(_ uniform: Double, harmful: Double, helpful: Double) -> Double {
        uniform < harmful ? 1 : uniform < harmful + helpful ? -1 : 0
    }

    static let independent = AuditSource(testDescription: "independent flips", range: -1...1) { uniform, _ in
        flip(uniform, harmful: 0.08, helpful: 0.03)
    }

    static let all = [
        independent,
        AuditSource(testDescription: "no helpful flip", range: -1...1) { uniform, _ in uniform < 0.05 ? 1 : 0 },
        AuditSource(testDescription: "disagreement", range: 0...1) { uniform, _ in uniform < 0.05 ? 1 : 0 },
        AuditSource(testDescription: "skewed to gains", range: -1...0.2) { uniform, _ in
            uniform < 0.05 ? -1 : 0.1 / 0.95
        },
        AuditSource(testDescription: "flips come in clusters", range: -1...1) { uniform, previous in
            previous == 0
                ? flip(uniform, harmful: 0.06, helpful: 0.01) : flip(uniform, harmful: 0.4, helpful: 0.35)
        },
        AuditSource(testDescription: "after a harmful flip better than allowed", range: -1...1) { uniform, previous in
            previous == 1
                ? flip(uniform, harmful: 0.2, helpful: 0.17) : flip(uniform, harmful: 0.08, helpful: 0.03)
        },
    ]
}

@Suite("The e-process since release")
struct EProcessTests {
    static let draws = 1000
    static let alpha = 0.05

    /// The share of draws in which an alarm is ever raised within 3000 samples.
    static func rate(
        source: AuditSource, seed: UInt64, isAlarmed: (inout EProcess, _ difference: Double) -> Bool
    ) -> Double {
        var generator = SplitMix64(seed: seed)
        var alarms = 0
        for _ in 0..<draws {
            var process = EProcess(grid: source.grid(horizon: EProcess.horizon))
            var difference = 0.0
            for _ in 0..<3000 {
                difference = source.next(.random(in: 0..<1, using: &generator), difference)
                if isAlarmed(&process, difference) {
                    alarms += 1
                    break
                }
            }
        }
        return Double(alarms) / Double(draws)
    }

    static func holds(_ rate: Double) -> Bool {
        rate <= alpha + 3 * (alpha * (1 - alpha) / Double(draws)).squareRoot()
    }

    @Test("raises a false alarm, ever, with probability at most alpha", arguments: AuditSource.all)
    func level(source: AuditSource) {
        let rate = Self.rate(source: source, seed: 31) { process, difference in
            process.observe(difference)
            return process.logarithm >= -log(Self.alpha)
        }
        #expect(Self.holds(rate), "\(rate)")
        #expect(rate > Self.alpha / 20, "one that never alarms would pass above: \(rate)")
    }

    @Test("is caught above alpha when factors leave the allowed gap out")
    func gapLeftOut() {
        let rate = Self.rate(source: .independent, seed: 32) { process, difference in
            process.observe(difference + AuditSource.gap)
            return process.logarithm >= -log(Self.alpha)
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("is caught above alpha when the bets are added up instead of averaged")
    func sumOverBets() {
        let rate = Self.rate(source: .independent, seed: 34) { process, difference in
            process.observe(difference)
            return process.logarithm + log(Double(process.grid.bets.count)) >= -log(Self.alpha)
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("is caught above alpha when the start is chosen afterwards: that is the detector's task")
    func bestStart() {
        let rate = Self.rate(source: .independent, seed: 33) { process, difference in
            if process.logarithm < 0 { process = EProcess(grid: process.grid) }
            process.observe(difference)
            return process.logarithm >= -log(Self.alpha)
        }
        #expect(!Self.holds(rate), "\(rate)")
    }

    @Test("is the mean over the bets of products of factors")
    func reference() {
        let differences = referenceDifferences
        let grid = BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e6)
        var process = EProcess(grid: grid)
        for count in 1...differences.count {
            process.observe(differences[count - 1])
            let products = grid.bets.map { bet in
                differences.prefix(count).reduce(1) { $0 * (1 + bet * ($1 - 0.01)) }
            }
            let expected = products.reduce(0, +) / Double(products.count)
            #expect(abs(exp(process.logarithm) / expected - 1) < 1e-12)
        }
    }

    @Test("bets fall by half from half of what the worst difference allows to the best for a very small drift")
    func grid() {
        let paired = BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e6)
        #expect(paired.bets.count == 9)
        #expect(paired.bets.first == 0.5 / 1.01)
        #expect(zip(paired.bets, paired.bets.dropFirst()).allSatisfy { $0 == 2 * $1 })
        // sqrt(10 / (1e6 * 1.01 * 0.99)) = 0.00316
        #expect(paired.bets[7] > 0.00316 && paired.bets[8] <= 0.00317)

        for gap in [0.001, 0.05, 0.5, 0.999999] {
            let disagreement = BetGrid(allowedGap: gap, range: 0...1, horizon: 1e6)
            #expect(disagreement.bets.allSatisfy { $0 > 0 && 1 - $0 * gap >= 0.5 - 1e-15 })
        }
    }

    @Test("neither overflows nor vanishes, and what was lost is kept exactly", arguments: [-1.0, 1.0])
    func extremes(difference: Double) {
        let grid = BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e6)
        var process = EProcess(grid: grid)
        let count = 2_000_000
        for _ in 0..<count { process.observe(difference) }
        // The largest product leads: of the smallest bet when all lose, of the largest when all gain.
        let factors = grid.bets.map { log1p($0 * (difference - 0.01)) }
        let expected = Double(count) * factors.max()! - log(Double(factors.count))
        // A sum of n terms errs by at most n ulps of itself, of 2^-53 each.
        #expect(abs(process.logarithm / expected - 1) < Double(count) * 0x1p-53, "\(process.logarithm)")
    }
}

/// Forty differences with every kind of value in -1...1, harmful flips more often towards the end.
let referenceDifferences: [Double] = (0..<40).map { index in
    let kind = (index * 7919 + index * index) % 11
    return kind == 0 ? -1 : kind == 1 ? 0.25 : kind < 2 + index / 8 ? 1 : 0
}
