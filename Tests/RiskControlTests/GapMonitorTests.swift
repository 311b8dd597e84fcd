import Foundation
import RiskControl
import Statistics
import Testing

@Suite("Watching a deployed policy")
struct GapMonitorTests {
    /// How policy and final layer differ in one period.
    struct Period {
        var samples: Int
        var harmful: Double
        var helpful: Double
    }

    /// Observes samples of a period; stops early once both alarms are raised.
    static func observe(_ period: Period, in monitor: inout GapMonitor, using generator: inout SplitMix64) {
        for _ in 0..<period.samples where monitor.sinceRelease.firstAlarm == nil || monitor.drift.firstAlarm == nil {
            let uniform = Double.random(in: 0..<1, using: &generator)
            try! monitor.observe(AuditSource.flip(uniform, harmful: period.harmful, helpful: period.helpful))
        }
    }

    /// What happened in many draws of a bad period after a good one.
    struct Delays {
        /// Draws in which an alarm was raised in the good period.
        var falseAlarms = 0
        /// In the other draws, the bad samples before each alarm.
        var sinceRelease: [Int] = []
        var drift: [Int] = []

        static func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }

        init(good: Period, bad: Period, draws: Int = 41) {
            var generator = SplitMix64(seed: 51)
            for _ in 0..<draws {
                var monitor = GapMonitor(allowedGap: 0.01)
                observe(good, in: &monitor, using: &generator)
                guard monitor.sinceRelease.firstAlarm == nil && monitor.drift.firstAlarm == nil else {
                    falseAlarms += 1
                    continue
                }
                observe(bad, in: &monitor, using: &generator)
                sinceRelease.append((monitor.sinceRelease.firstAlarm ?? .max) - good.samples)
                drift.append((monitor.drift.firstAlarm ?? .max) - good.samples)
            }
        }
    }

    @Test("notices a drift after a long good time: the detector within thousands, the e-process at last")
    func drift() {
        // Gap -0.005, then +0.02. Over many draws the medians are 48,500 and 1,900.
        let delays = Delays(
            good: Period(samples: 20_000, harmful: 0.02, helpful: 0.025),
            bad: Period(samples: 200_000, harmful: 0.04, helpful: 0.02))
        let (sinceRelease, drift) = (Delays.median(delays.sinceRelease), Delays.median(delays.drift))
        #expect(drift < 3000 && sinceRelease > 10 * drift, "\(sinceRelease), \(drift)")
        #expect(delays.falseAlarms <= 2)
    }

    @Test("notices a larger drift sooner, by both")
    func largerDrift() {
        // Gap 0, then +0.03. Over many draws the medians are 17,100 and 850.
        let delays = Delays(
            good: Period(samples: 20_000, harmful: 0.02, helpful: 0.02),
            bad: Period(samples: 100_000, harmful: 0.05, helpful: 0.02))
        let (sinceRelease, drift) = (Delays.median(delays.sinceRelease), Delays.median(delays.drift))
        #expect(drift < 1500 && sinceRelease > 10 * drift, "\(sinceRelease), \(drift)")
        #expect(delays.falseAlarms <= 4)
    }

    @Test("notices a gap that was too large from the start, by both")
    func fromTheStart() {
        // Over many draws the medians are 4,550 and 2,220.
        let delays = Delays(
            good: Period(samples: 0, harmful: 0, helpful: 0),
            bad: Period(samples: 100_000, harmful: 0.04, helpful: 0.02))
        let (sinceRelease, drift) = (Delays.median(delays.sinceRelease), Delays.median(delays.drift))
        #expect(sinceRelease < 10_000 && drift < 5_000, "\(sinceRelease), \(drift)")
    }

    @Test("is silent in good times, for far longer than was asked for")
    func silent() {
        var generator = SplitMix64(seed: 53)
        var alarms = 0
        for _ in 0..<10 {
            var monitor = GapMonitor(allowedGap: 0.01)
            Self.observe(Period(samples: 100_000, harmful: 0.02, helpful: 0.02), in: &monitor, using: &generator)
            if monitor.drift.firstAlarm != nil { alarms += 1 }
            #expect(monitor.sinceRelease.firstAlarm == nil)
        }
        // One in 1.7 million samples; one in 50,000 if the detector made the small bets of the e-process.
        #expect(alarms <= 3, "\(alarms)")
    }

    @Test("watches disagreement when there are no labels")
    func disagreement() throws {
        var generator = SplitMix64(seed: 52)
        var monitor = GapMonitor(allowedGap: 0.05, range: 0...1)
        for _ in 0..<20_000 { try monitor.observe(Double.random(in: 0..<1, using: &generator) < 0.03 ? 1 : 0) }
        #expect(monitor.drift.firstAlarm == nil && monitor.sinceRelease.firstAlarm == nil)
        for _ in 0..<2_000 { try monitor.observe(Double.random(in: 0..<1, using: &generator) < 0.1 ? 1 : 0) }
        let alarm = try #require(monitor.drift.firstAlarm)
        #expect(alarm > 20_000)
    }

    @Test("starts with no evidence")
    func start() {
        let monitor = GapMonitor(allowedGap: 0.01)
        #expect(monitor.sampleCount == 0 && monitor.sum == 0 && monitor.meanDifference == nil)
        #expect(monitor.sinceRelease.log10Value == 0 && monitor.sinceRelease.threshold == 20)
        #expect(monitor.drift.log10Value == -.infinity && monitor.drift.threshold == 10_000)
        #expect(monitor.drift.log10Threshold == 4)
    }

    @Test("counts and averages what it saw")
    func counts() throws {
        var monitor = GapMonitor(allowedGap: 0.01)
        for difference in [1.0, 0, -1, 0.5] { try monitor.observe(difference) }
        #expect(monitor.sampleCount == 4 && monitor.sum == 0.5 && monitor.meanDifference == 0.125)
    }

    @Test("raises each alarm when its value reaches the threshold, and keeps the sample")
    func alarms() throws {
        var monitor = GapMonitor(allowedGap: 0.01, falseAlarmProbability: 0.001, meanSamplesToFalseAlarm: 100)
        var (sinceRelease, drift): (Int?, Int?) = (nil, nil)
        // Thirty losses, then gains until both values have fallen below again.
        for difference in Array(repeating: 1.0, count: 30) + Array(repeating: -1.0, count: 2000) {
            try monitor.observe(difference)
            if sinceRelease == nil, monitor.sinceRelease.log10Value >= 3 { sinceRelease = monitor.sampleCount }
            if drift == nil, monitor.drift.log10Value >= 2 { drift = monitor.sampleCount }
            #expect(monitor.sinceRelease.firstAlarm == sinceRelease)
            #expect(monitor.drift.firstAlarm == drift)
        }
        let (first, second) = (try #require(drift), try #require(sinceRelease))
        #expect(first < second && second < 30, "a lower threshold is reached first")
        #expect(monitor.sinceRelease.log10Value < 3 && monitor.drift.log10Value < 2)
    }

    @Test("stays alarmed, with finite values, through two million losses")
    func extremes() throws {
        var monitor = GapMonitor(allowedGap: 0.01, falseAlarmProbability: 1e-9, meanSamplesToFalseAlarm: 1e12)
        for _ in 0..<2_000_000 { try monitor.observe(1) }
        #expect(monitor.drift.log10Value >= monitor.drift.log10Threshold)
        #expect(monitor.drift.log10Value.isFinite && monitor.sinceRelease.log10Value.isFinite)
        #expect(monitor.drift.firstAlarm != nil && monitor.sinceRelease.firstAlarm != nil)
    }

    @Test("a difference outside the range is an error with the sample, and changes nothing")
    func outsideRange() throws {
        var monitor = GapMonitor(allowedGap: 0.05, range: 0...1)
        try monitor.observe(1)
        try monitor.observe(0)
        let before = monitor
        for value in [-1, 1.0000001, .nan, .infinity] {
            #expect {
                try monitor.observe(value)
            } throws: { error in
                guard case .differenceOutsideRange(let sample, _, let range) = error as? RiskControlError else {
                    return false
                }
                return sample == 2 && range == 0...1
            }
            #expect(monitor == before)
        }
    }
}
