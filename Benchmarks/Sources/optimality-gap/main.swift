// How far coordinate search with pair moves ends from the proven optimum of a grid, on random subsets of real outputs.
//
// usage: optimality-gap [--subsets 50] [--exits 6] [--values 32] OUTPUTS ...
//
// OUTPUTS are files of exit outputs (safetensors), of which all samples are used. A subset is half of the samples and so many
// of the early exits, drawn by its number, with the final layer after them; scores are BEEM-A's with memory 1, the allowed gap
// is 0, and the grid has so many quantiles of the scores at each early exit, and "never". Ends with 1 unless branch and bound
// proves every optimum, the median gap is 0, nine tenths of the gaps are at most 1 % and all at most 5 %.

import ExitRules
import FeatureCache
import Foundation
import Statistics
import ThresholdOptimizer

var arguments = Array(CommandLine.arguments.dropFirst())
@MainActor func option(_ name: String, default value: Int) -> Int {
    guard let place = arguments.firstIndex(of: name), place + 1 < arguments.count else { return value }
    defer { arguments.removeSubrange(place...(place + 1)) }
    return Int(arguments[place + 1])!
}
let subsets = option("--subsets", default: 50)
let exits = option("--exits", default: 6)
let values = option("--values", default: 32)

/// A table of some early exits and the final layer, on half of the samples.
func subset(_ number: Int, of outputs: ExitOutputs, exits: Int) -> ScoreTable {
    var generator = SplitMix64(seed: UInt64(number))
    let rows = (0..<outputs.sampleCount).shuffled(using: &generator).prefix(outputs.sampleCount / 2).sorted()
    let early = (0..<(outputs.exitCount - 1)).shuffled(using: &generator).prefix(exits).sorted()
    let kept = early + [outputs.exitCount - 1]
    let some = outputs.selecting(rows)
    let own = ExitOutputs(
        truth: some.truth, labels: kept.map { some.labels[$0] }, confidences: kept.map { some.confidences![$0] })
    let costs = kept.map { Double($0 + 1) }
    let weights = ExitWeights.accuracy.values(errors: own.errorCounts, sampleCount: own.sampleCount, costs: costs)
    return ScoreTable(outputs: own, rule: BEEMRule(weights: weights), costs: costs)
}

var isGood = true
for file in arguments {
    let recorded = try RecordedOutputs(opening: file)
    let outputs = try recorded.outputs(rows: Array(0..<recorded.samples.sampleCount), measure: .maxProbability)
    var gaps: [Double] = []
    var (proven, seconds) = (0, 0.0)
    for number in 0..<subsets {
        let table = subset(number, of: outputs, exits: exits)
        let exact = BranchAndBound(table: table, allowedGap: 0, valuesPerExit: values)
        var optimum: BranchAndBound.Result?
        seconds += ContinuousClock().measure { optimum = exact.run(budget: 1_000_000) } / .seconds(1)
        var generator = SplitMix64(seed: UInt64(number))
        let found = CoordinateSearch(table: table, allowedGap: 0, grid: exact.grid.map { $0.compactMap(\.self) })
            .run(randomStarts: 8, moves: .pairs, using: &generator).best.outcome
        if optimum!.isProven { proven += 1 }
        gaps.append(optimum!.best.outcome.speedUp / found.speedUp - 1)
    }
    gaps.sort()
    let median = (gaps[(gaps.count - 1) / 2] + gaps[gaps.count / 2]) / 2
    let within = gaps.count { $0 <= 0.01 }
    isGood = isGood && proven == subsets && median == 0 && within * 10 >= 9 * subsets && gaps.last! <= 0.05
    print(
        "\(file): \(subsets) subsets, \(exits) exits x \(values) values: \(proven) proven, "
            + String(
                format: "%.3f s each; gap of coordinate search: median %.2f %%, ", seconds / Double(subsets),
                100 * median)
            + "\(within) within 1 %, " + String(format: "largest %.2f %%", 100 * gaps.last!))
}
exit(isGood ? 0 : 1)
