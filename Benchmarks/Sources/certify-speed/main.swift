// How long it takes to calibrate on a million certify samples: candidates counted in one pass, tested one by one.
//
// Samples have a difficulty; an exit is right when its depth exceeds it, give or take noise, and confident when far from
// it. The final layer overthinks a little, as real ones do, so that early exit can be certified at gap 0 too.

import Calibration
import Evaluation
import ExitRules
import FeatureCache
import Foundation
import RiskControl
import Statistics
import ThresholdOptimizer

func outputs(samples: Int, exits: Int, seed: UInt64) -> ExitOutputs {
    var generator = SplitMix64(seed: seed)
    func uniform() -> Double { Double(generator.next() >> 11) * 0x1p-53 }
    var labels = Array(repeating: [Int32](repeating: 0, count: samples), count: exits)
    var confidences = Array(repeating: [Float](repeating: 0, count: samples), count: exits)
    for sample in 0..<samples {
        let difficulty = 4 * uniform() - 2.2
        for exit in 0..<exits {
            let depth = 2 * Double(exit + 1) / Double(exits) - (exit == exits - 1 ? 1.2 : 0)
            let margin = depth - difficulty + 1.2 * (uniform() - 0.5)
            labels[exit][sample] = margin > 0 ? 1 : 0
            confidences[exit][sample] = Float(0.5 + 0.5 * min(1, abs(margin) / 3))
        }
    }
    return ExitOutputs(
        truth: Array(repeating: 1, count: samples), labels: labels, confidences: confidences)
}

let exits = 12
let certify = outputs(samples: 1_000_000, exits: exits, seed: 2)
let splits = SplitOutputs([
    .train: outputs(samples: 100, exits: exits, seed: 0), .tune: outputs(samples: 100_000, exits: exits, seed: 1),
    .certify: certify, .test: outputs(samples: 100_000, exits: exits, seed: 3),
])
let text = """
    name: speed
    features: none
    splits: stored
    output: none
    """

for gap in [0.0, 0.0025, 0.01] {
    let order = CandidateOrder.standard.rawValue
    do {
        let recipe = try Recipe(
            parsing: text + "\nguarantee: { allowedGap: \(gap), order: \(order) }\n", file: "recipe.yaml")
        let calibrator = Calibrator(recipe: recipe, costs: ExitCosts(cumulative: (1...exits).map(Double.init)))
        // Without certify samples to speak of: what searching, ordering and the tables beside the result take.
        var small = splits.bySplit
        small[.certify] = certify.selecting(Array(0..<1000))
        let clock = ContinuousClock()
        let base = try clock.measure { _ = try calibrator.calibrate(SplitOutputs(small)) }
        var result: CalibrationResult?
        let whole = try clock.measure { result = try calibrator.calibrate(splits) }
        let seconds = { (duration: Duration) in duration / .seconds(1) }
        print(
            "gap \(gap), \(order): \(result!.sequenceLength) candidates in order, \(result!.testedCount) tested, "
                + String(
                    format: "%.2f s for scoring and certifying 1,000,000 samples x 12 exits (%.2f s in all), ",
                    seconds(whole) - seconds(base), seconds(whole))
                + (result!.certificate == nil ? "nothing certified" : "certified"))
    }
}

// 300 candidates, all tested, of which the last is near the level: spread over the whole order, and all of them near it,
// where a decision takes longest. Scoring, counting and deciding are timed.
let rule = BEEMRule(
    weights: ExitWeights.accuracy.values(
        errors: certify.errorCounts, sampleCount: certify.sampleCount, costs: (1...exits).map(Double.init)))
let costs = (1...exits).map(Double.init)
let frontier = SingleThresholdFrontier(ScoreTable(outputs: certify, rule: rule, costs: costs))
for gap in [0.0, 0.0025, 0.01] {
    let points = frontier.points.dropFirst()
    let z = points.map { gapZ(frontier.counts(of: $0), allowedGap: gap) }
    let best = z.indices.max { z[$0] < z[$1] }!
    for (name, range) in [("over the whole order", 1.8...Double.infinity), ("near the level", 1.8...3.5)] {
        let eligible = z.indices.filter { $0 >= best && range.contains(z[$0]) }
        guard eligible.count >= 300 else { continue }
        let chosen = (0..<300).map { eligible[$0 * (eligible.count - 1) / 299] }
        let thresholds = chosen.map { points[points.startIndex + $0].threshold! }
        let clock = ContinuousClock()
        var rejected = 0
        let time = clock.measure {
            let table = ScoreTable(outputs: certify, rule: rule, costs: costs)
            let counted = PolicyPath(sharedThresholds: thresholds, exitCount: exits).points(on: table)
            let test = ExactTrinomialTest(allowedGap: gap)
            let plan = CandidatePlan(candidates: Array(counted.indices))
            let walk = FallbackProcedure(level: 0.05).walk(along: plan) { test.isRejected(counted[$0].counts, at: $1) }
            rejected = walk.passed.count
        }
        print(
            "gap \(gap), 300 candidates \(name): \(rejected) certified, "
                + String(format: "%.2f s", time / .seconds(1)))
    }
}
