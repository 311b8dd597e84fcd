import Foundation
import Testing

@testable import Backprop

@Suite("Learning-rate schedules")
struct LearningRateScheduleTests {
    @Test("are those that PyTorch's schedulers make")
    func agreesWithPyTorch() throws {
        let golden = try OptimizerGolden.read()
        for expected in golden.schedules {
            let schedule = LearningRateSchedule(
                peak: 0.3, shape: expected.shape, stepCount: 20, warmupSteps: expected.warmupSteps)
            // PyTorch multiplies rates from step to step, ours come from a formula: some ulps of the peak a step.
            for (step, rate) in expected.rates.enumerated() {
                #expect(abs(schedule.rate(atStep: step) - rate) <= 4 * 21 * 0.3.ulp)
            }
            #expect(expected.rates.count == 21)
        }
    }

    @Test("rise to the peak, then never rise again", arguments: LearningRateSchedule.Shape.allCases)
    func shape(_ shape: LearningRateSchedule.Shape) {
        let schedule = LearningRateSchedule(peak: 2, shape: shape, stepCount: 50, warmupSteps: 10)
        let rates = (0..<60).map { schedule.rate(atStep: $0) }
        #expect(rates[0] == 0.2)
        #expect(rates[9] == 2 && rates[10] == 2)
        for step in 1..<10 { #expect(rates[step] > rates[step - 1]) }
        for step in 11..<60 { #expect(rates[step] <= rates[step - 1]) }
        #expect(rates.prefix(50).allSatisfy { $0 > 0 })
        #expect(rates.suffix(10).allSatisfy { $0 == (shape == .constant ? 2 : 0) })
    }

    @Test("are half the peak half-way")
    func middle() {
        for shape in [LearningRateSchedule.Shape.cosine, .linear] {
            let schedule = LearningRateSchedule(peak: 1, shape: shape, stepCount: 110, warmupSteps: 10)
            #expect(abs(schedule.rate(atStep: 60) - 0.5) <= 4 * 0.5.ulp)
        }
    }

    @Test("are, as a cosine without warm-up, half a cosine from the peak to 0")
    func existingCosine() {
        let schedule = LearningRateSchedule(peak: 0.01, stepCount: 37)
        for step in 0...37 {
            let rate = 0.01 * 0.5 * (1 + cos(.pi * min(Double(step) / 37, 1)))
            #expect(abs(schedule.rate(atStep: step) - rate) <= 2 * 0.01.ulp)
        }
    }

    @Test("may be all warm-up")
    func onlyWarmup() {
        let schedule = LearningRateSchedule(peak: 1, shape: .cosine, stepCount: 4, warmupSteps: 4)
        #expect((0..<6).map { schedule.rate(atStep: $0) } == [0.25, 0.5, 0.75, 1, 0, 0])
    }

    @Test("come back from JSON the same")
    func codable() throws {
        let schedule = LearningRateSchedule(peak: 0.1, shape: .linear, stepCount: 7, warmupSteps: 3)
        let data = try JSONEncoder().encode(schedule)
        #expect(try JSONDecoder().decode(LearningRateSchedule.self, from: data) == schedule)
    }
}
