import ExitRules
import Foundation
import Testing

@Suite("Exit weights")
struct ExitWeightsTests {
    private func values(_ weights: ExitWeights) -> [Double] {
        weights.values(errors: [50, 25, 0], sampleCount: 100, costs: [1, 3, 4])
    }

    @Test("BEEM-A is one minus the error rate") func accuracy() { #expect(values(.accuracy) == [0.5, 0.75, 1]) }

    @Test("BEEM-C is the share of the final cost") func cost() { #expect(values(.cost) == [0.25, 0.75, 1]) }

    @Test("uniform is 1") func uniform() { #expect(values(.uniform) == [1, 1, 1]) }

    @Test("given weights are taken as they are") func given() { #expect(values(.given([3, 0, 0.5])) == [3, 0, 0.5]) }

    @Test("log-odds come from smoothed error rates, so an exit without errors has a finite weight")
    func logOdds() {
        let weights = values(.logOdds)
        // e = 50.5/101, 25.5/101, 0.5/101: odds 1, 75.5/25.5, 201.
        #expect(weights[0] == 0)
        #expect(abs(weights[1] - log(75.5 / 25.5)) < 1e-14)
        #expect(abs(weights[2] - log(201)) < 1e-13)
    }

    @Test("an exit that errs in more than half of the samples has log-odds weight 0, not a negative one")
    func badExit() {
        let weights = ExitWeights.logOdds.values(errors: [51, 100], sampleCount: 100, costs: [1, 2])
        #expect(weights == [0, 0])
    }
}
