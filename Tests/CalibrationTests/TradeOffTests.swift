import ExitRules
import FeatureCache
import TestSupport
import Testing

@testable import Calibration

@Suite("The trade-off table")
struct TradeOffTests {
    private func tradeOff(_ trained: TrainedExperiment, _ outputs: SplitOutputs, gap: Double = 0) throws -> TradeOff {
        try trained.calibrator { $0.guarantee.allowedGap = gap }.tradeOff(outputs)
    }

    @Test("depends on tune and on the size of certify, and on nothing else of it")
    func blind() throws {
        let trained = try TrainedExperiment.standard.get()
        let expected = try tradeOff(trained, trained.outputs)
        #expect(try tradeOff(trained, trained.outputs) == expected)
        var bySplit = trained.outputs.bySplit
        for split in [Split.certify, .test, .train] {
            bySplit[split]!.truth = bySplit[split]!.truth.map { ($0 + 1) % 3 }
            bySplit[split]!.labels[0] = bySplit[split]!.truth
            bySplit[split]!.confidences![1] = bySplit[split]!.confidences![1].reversed()
        }
        #expect(try tradeOff(trained, SplitOutputs(bySplit)) == expected)
        bySplit[.certify] = bySplit[.certify]!.selecting(Array(0..<60))
        let smaller = try tradeOff(trained, SplitOutputs(bySplit))
        #expect(smaller != expected)
        #expect(smaller.lines[0].certified < expected.lines[0].certified)
    }

    @Test("never promises less for a larger gap, and nothing below 1")
    func monotone() throws {
        let trained = try TrainedExperiment.standard.get()
        let lines = try tradeOff(trained, trained.outputs, gap: 0.04).lines
        for (line, next) in zip(lines, lines.dropFirst()) {
            #expect(line.allowedGap < next.allowedGap)
            #expect(line.speedUp <= next.speedUp && line.certified <= next.certified)
        }
        #expect(lines.allSatisfy { $0.speedUp >= 1 && $0.speedUp <= 4 && (0...1).contains($0.certified) })
        #expect(lines[0].speedUp < lines[lines.count - 1].speedUp, "a larger gap buys something")
    }

    @Test("has the usual gaps and the recipe's own, once")
    func gaps() throws {
        let trained = try TrainedExperiment.standard.get()
        #expect(try tradeOff(trained, trained.outputs).lines.map(\.allowedGap) == [0, 0.0025, 0.005, 0.01, 0.02])
        #expect(
            try tradeOff(trained, trained.outputs, gap: 0.015).lines.map(\.allowedGap)
                == [0, 0.0025, 0.005, 0.01, 0.015, 0.02])
        #expect(
            TradeOff.gaps(for: Recipe.Guarantee(allowedGap: 0.1, loss: .disagreement))
                == [0.0025, 0.005, 0.01, 0.02, 0.1])
    }

    @Test("is near what other draws of certify come to")
    func prediction() throws {
        var cache = SyntheticCache()
        cache.samples = 4800
        cache.splitCode = { $0 % 2 == 0 ? 0 : 255 }
        let trained = try TrainedExperiment(
            cache, splits: "{ train: stored, tune: 0.4, certify: 0.4, test: 0.2 }",
            extra: "guarantee: { allowedGap: 0.01 }")
        let line = try #require(
            try trained.calibrator().tradeOff(trained.outputs).lines.first { $0.allowedGap == 0.01 })
        let study = try Study(
            trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 100, source: .bootstrap,
            methods: [
                StudyMethod(
                    name: "standard", rule: trained.experiment.recipe.rule,
                    choice: .certified(search: .single, order: .standard, test: .standard))
            ])
        let row = try study.run().methods[0]
        // One tune split predicts what a hundred others give: the spread of their own results is the scale.
        #expect(abs(line.speedUp - row.meanSpeedUp) <= 2 * row.speedUpDeviation)
        #expect(abs(line.certified - (1 - row.uncertified)) <= 0.25)
    }
}
