import Foundation
import Statistics
import Testing

@testable import RiskControl

@Suite("The detector of a drift that starts later")
struct EDetectorTests {
    static let draws = 1000
    static let asked = 300.0

    /// What the simulation says of the mean number of samples to a false alarm.
    struct RunLength {
        var mean: Double
        var standardError: Double

        /// Whether it may be at least what was asked for, with three standard errors for the simulation.
        ///
        /// Not the lower bound: at the worst of the null the true mean is A plus what the last sample overshoots it by,
        /// which small steps make arbitrarily little. The mistakes below show what the check can tell apart.
        var isLongEnough: Bool { mean + 3 * standardError >= asked }
    }

    static func plain(_ detector: inout EDetector, _ difference: Double) -> Double {
        detector.observe(difference)
        return detector.value
    }

    /// Runs until the value reaches the threshold; a run is cut at 30 times what was asked for, which shortens the mean.
    static func runLength(
        source: AuditSource, seed: UInt64, threshold: Double = asked,
        observe: (inout EDetector, _ difference: Double) -> Double = EDetectorTests.plain
    ) -> RunLength {
        var generator = SplitMix64(seed: seed)
        var (sum, squares) = (0.0, 0.0)
        for _ in 0..<draws {
            var detector = EDetector(grid: source.grid(horizon: asked))
            var (count, difference) = (0.0, 0.0)
            while count < 30 * asked {
                difference = source.next(.random(in: 0..<1, using: &generator), difference)
                count += 1
                if observe(&detector, difference) >= threshold { break }
            }
            sum += count
            squares += count * count
        }
        let mean = sum / Double(draws)
        let variance = squares / Double(draws) - mean * mean
        return RunLength(mean: mean, standardError: (variance / Double(draws)).squareRoot())
    }

    @Test("raises a false alarm no sooner, on average, than asked for", arguments: AuditSource.all)
    func runLength(source: AuditSource) {
        let length = Self.runLength(source: source, seed: 41)
        #expect(length.isLongEnough, "\(length)")
        #expect(length.mean < 5 * Self.asked, "one that never alarms would pass above: \(length)")
    }

    @Test("is caught when the threshold is a tenth of what was asked for, or seven tenths", arguments: [0.1, 0.7])
    func lowThreshold(share: Double) {
        let length = Self.runLength(source: .independent, seed: 42, threshold: Self.asked * share)
        #expect(!length.isLongEnough, "\(length)")
    }

    @Test("is caught when factors leave the allowed gap out")
    func gapLeftOut() {
        let length = Self.runLength(source: .independent, seed: 43) { detector, difference in
            detector.observe(difference + AuditSource.gap)
            return detector.value
        }
        #expect(!length.isLongEnough, "\(length)")
    }

    @Test("is caught when the bets are added up instead of averaged")
    func sumOverBets() {
        let length = Self.runLength(source: .independent, seed: 44) { detector, difference in
            detector.observe(difference)
            return detector.value * Double(detector.grid.bets.count)
        }
        #expect(!length.isLongEnough, "\(length)")
    }

    @Test("raises a false alarm within t samples with probability at most t / A", arguments: AuditSource.all)
    func early(source: AuditSource) {
        var generator = SplitMix64(seed: 45)
        var alarms = 0
        for _ in 0..<Self.draws {
            var detector = EDetector(grid: source.grid(horizon: 1000))
            var difference = 0.0
            for _ in 0..<100 where detector.value < 1000 {
                difference = source.next(.random(in: 0..<1, using: &generator), difference)
                detector.observe(difference)
            }
            if detector.value >= 1000 { alarms += 1 }
        }
        let rate = Double(alarms) / Double(Self.draws)
        #expect(rate <= 0.1 + 3 * (0.1 * 0.9 / Double(Self.draws)).squareRoot(), "\(rate)")
    }

    @Test("is the mean over the bets of products of factors, added up over every start")
    func reference() {
        let differences = referenceDifferences
        let grid = BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e4)
        var detector = EDetector(grid: grid)
        #expect(detector.value == 0)
        for count in 1...differences.count {
            detector.observe(differences[count - 1])
            var expected = 0.0
            for bet in grid.bets {
                for start in 0..<count {
                    expected += differences[start..<count].reduce(1) { $0 * (1 + bet * ($1 - 0.01)) }
                }
            }
            expected /= Double(grid.bets.count)
            #expect(abs(detector.value / expected - 1) < 1e-12)
        }
    }

    @Test("forgets a long good time: after two million samples of nothing but gains it starts as from the first")
    func goodTime() {
        let grid = BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e4)
        var (old, new) = (EDetector(grid: grid), EDetector(grid: grid))
        for _ in 0..<2_000_000 { old.observe(-1) }
        #expect(old.value >= 0.5)
        for _ in 0..<20 {
            old.observe(1)
            new.observe(1)
            #expect(old.value >= new.value)
        }
    }

    @Test("stays above every threshold through two million losses and does not leave the numbers")
    func badTime() {
        var detector = EDetector(grid: BetGrid(allowedGap: 0.01, range: -1...1, horizon: 1e4))
        for _ in 0..<2_000_000 { detector.observe(1) }
        // All bets but for rounding of their mean at the largest sum.
        #expect(abs(detector.value / EDetector.largestSum - 1) < 1e-14)
        detector.observe(-1)
        #expect(detector.value > EDetector.largestSum / 2 && detector.logarithm.isFinite)
    }
}
