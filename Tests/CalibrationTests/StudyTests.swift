import Evaluation
import ExitHeads
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import RiskControl
import Safetensors
import Statistics
import TestSupport
import Testing
import ThresholdOptimizer

@testable import Calibration

@Suite("A study")
struct StudyTests {
    /// A cache with a stored train split, small enough for hundreds of draws.
    private static func cache(samples: Int = 900) -> SyntheticCache {
        var cache = SyntheticCache()
        cache.samples = samples
        cache.exits = 3
        cache.splitCode = { $0 / 3 % 3 == 0 ? 0 : 255 }
        return cache
    }

    private static let splits = "{ train: stored, tune: 0.3, certify: 0.4, test: 0.3 }"

    private static let trained = Result { try TrainedExperiment(cache(), splits: splits) }

    private static let rule = Recipe.RuleChoice()

    private static func certified(
        _ order: CandidateOrder, _ test: StudyMethod.Test = .standard, search: Recipe.SearchChoice = .single
    ) -> StudyMethod {
        StudyMethod(
            name: "\(order.rawValue), \(test.rawValue)", rule: rule,
            choice: .certified(search: search, order: order, test: test))
    }

    /// One method of each kind.
    private static let few = [
        certified(.standard), certified(.standard, .betting),
        certified(.fallback, search: .perExitCoordinate(starts: 1, moves: .single)),
        StudyMethod(name: "tuned", rule: rule, choice: .tunedToEquality),
        StudyMethod(name: "per-exit rule", rule: rule, choice: .perExitRule),
        StudyMethod(name: "clipped", rule: rule, choice: .clippedLossSequence(usesTune: true)),
    ]

    private func data(_ result: StudyResult) throws -> Data { try JSONFile.encode(result) }

    @Test("gives the same bytes for the same seed, whatever the number of threads, and others for another seed")
    func determinism() throws {
        let trained = try Self.trained.get()
        func result(threads: Int = 1, _ change: (inout Recipe) -> Void = { _ in }) throws -> Data {
            var experiment = trained.experiment
            experiment.threads = threads
            return try data(
                Study(experiment, from: experiment.exits(trained.heads), repeats: 6, methods: Self.few).run())
        }
        let one = try result()
        #expect(try result(threads: 3) == one)
        #expect(try result() == one)
        let other = try Experiment(seed: 4, of: trained)
        #expect(try data(Study(other, from: other.exits(trained.heads), repeats: 6, methods: Self.few).run()) != one)
    }

    @Test("compares all methods of the recipe, each with numbers that make sense")
    func methods() throws {
        let trained = try Self.trained.get()
        let result = try Study(trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 2).run()
        #expect(result.methods.map(\.method) == StudyMethod.all(for: trained.experiment.recipe).map(\.name))
        #expect(Set(result.methods.map(\.method)).count == result.methods.count)
        #expect(result.samples == 600 && result.repeats == 2 && result.seed == 3 && result.level == 0.05)
        for row in result.methods {
            #expect(row.meanSpeedUp >= 1 && row.meanSpeedUp <= 3)
            #expect(row.speedUpQuantiles == row.speedUpQuantiles.sorted() && row.speedUpQuantiles.count == 3)
            #expect(row.isCertifying || row.uncertified == 0)
            #expect(row.errorRate == nil, "the truth is not known where draws share samples")
        }
        #expect(try JSONDecoder().decode(StudyResult.self, from: data(result)) == result)
    }

    @Test("with `resplit` draws what `--seed` would: draw k has the splits, and comes to the speed-up, of seed + k")
    func resplit() throws {
        let trained = try Self.trained.get()
        let method = Self.certified(.standard)
        let study = try Study(
            trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 4, methods: [method])
        let pool = try trained.experiment.exits(trained.heads).outputs(
            rows: study.draws.poolRows, measure: .maxProbability)
        var speedUps: [Double] = []
        for number in 0..<4 {
            let experiment = try Experiment(seed: 3 + UInt64(number), of: trained)
            let outputs = try experiment.outputs(of: experiment.exits(trained.heads))
            let draw = try study.draws.draw(number, from: pool)
            for split in [Split.tune, .certify, .test] { #expect(draw[split] == outputs[split]) }
            speedUps.append(try Calibrator(experiment).calibrate(outputs).outcome(on: .test).speedUp)
        }
        #expect(Set(speedUps).count > 1)
        let row = try study.run().methods[0]
        #expect(row.meanSpeedUp == speedUps.sorted().reduce(0, +) / 4)
        #expect(row.speedUpQuantiles.allSatisfy(speedUps.contains))
    }

    @Test("draws from outside train alone; a bootstrap has the sizes of the splits and repeats samples")
    func bootstrap() throws {
        let trained = try Self.trained.get()
        let experiment = trained.experiment
        let draws = try StudyDraws(experiment, source: .bootstrap, labels: .given, seed: 1)
        #expect(Set(draws.poolRows).isDisjoint(with: experiment.splits.train))
        #expect(draws.poolRows.count + experiment.splits.train.count == experiment.samples.sampleCount)
        // The place in the pool as the only label, so that each drawn sample says where it is from.
        let places = (0..<draws.poolRows.count).map(Int32.init)
        let pool = ExitOutputs(truth: places, labels: [places], confidences: [places.map { _ in 1 }])
        var seen: Set<Int32> = []
        for number in 0..<3 {
            let draw = try draws.draw(number, from: pool)
            #expect(Set(draw.keys) == [.tune, .certify, .test])
            for (split, outputs) in draw {
                #expect(outputs.sampleCount == experiment.splits[split].count)
                #expect(Set(outputs.truth).count < outputs.sampleCount)
                #expect(outputs.truth == outputs.labels[0] && outputs.groups == nil)
                seen.formUnion(outputs.truth)
            }
        }
        #expect(seen.isSubset(of: places) && seen.count > places.count / 2)
        #expect(try draws.draw(1, from: pool) == draws.draw(1, from: pool))
        #expect(try draws.draw(1, from: pool) != draws.draw(2, from: pool))
    }

    @Test("with random labels replaces those of tune and certify, and leaves test")
    func randomLabels() throws {
        let trained = try Self.trained.get()
        let given = try StudyDraws(trained.experiment, source: .bootstrap, labels: .given, seed: 1)
        let random = try StudyDraws(trained.experiment, source: .bootstrap, labels: .random, seed: 1)
        let pool = try trained.experiment.exits(trained.heads).outputs(
            rows: given.poolRows, measure: .maxProbability)
        var counts = [0, 0, 0]
        for number in 0..<20 {
            let (left, right) = (try given.draw(number, from: pool), try random.draw(number, from: pool))
            #expect(left[.test] == right[.test])
            for split in [Split.tune, .certify] {
                #expect(left[split]!.labels == right[split]!.labels)
                #expect(left[split]!.truth != right[split]!.truth)
                for label in right[split]!.truth { counts[Int(label)] += 1 }
            }
        }
        // Three standard errors of a third of all draws.
        let total = Double(counts.reduce(0, +))
        for count in counts { #expect(abs(Double(count) - total / 3) <= 3 * (total * 2 / 9).squareRoot()) }
    }

    @Test("keeps groups whole, and a group that is drawn twice is two groups")
    func groups() throws {
        var cache = Self.cache(samples: 1800)
        cache.groupSize = 6
        cache.splitCode = { $0 / 6 % 3 == 0 ? 0 : 255 }
        let trained = try TrainedExperiment(cache, splits: Self.splits)
        let study = try Study(
            trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 3, source: .bootstrap,
            methods: [Self.certified(.standard), Self.certified(.singlePick)])
        let pool = try trained.experiment.exits(trained.heads).outputs(
            rows: study.draws.poolRows, measure: .maxProbability)
        for number in 0..<3 {
            for (_, outputs) in try study.draws.draw(number, from: pool) {
                let sizes = try Dictionary(grouping: #require(outputs.groups)) { $0 }.map(\.value.count)
                #expect(sizes.allSatisfy { $0 == 6 })
            }
        }
        #expect(try study.run().methods.allSatisfy { $0.meanSpeedUp >= 1 })
    }

    @Test("refuses a group larger than declared wherever it lies outside train, for a draw may bring it to certify")
    func largeGroup() throws {
        var cache = Self.cache()
        cache.samples = 400
        cache.groupSize = 2
        cache.splitCode = { UInt8($0 / 100) }
        cache.regrouping = { groups in for row in 300..<305 { groups[row] = 9999 } }
        let trained = try TrainedExperiment(cache, splits: "stored")
        let error = try #require(throws: InputError.self) {
            try Study(trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 1, methods: Self.few)
        }
        #expect(error.item == "group 9999" && error.seen == "5 samples")
    }

    @Test(
        "of a recipe with groups or parts runs all its methods",
        arguments: [(4, ""), (0, "guarantee: { classes: all }"), (0, "guarantee: { classes: each }")])
    func groupsAndParts(groupSize: Int, extra: String) throws {
        var cache = Self.cache()
        cache.groupSize = groupSize
        if groupSize > 0 { cache.splitCode = { $0 / groupSize % 3 == 0 ? 0 : 255 } }
        let trained = try TrainedExperiment(cache, splits: Self.splits, extra: extra)
        let result = try Study(trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 2).run()
        #expect(result.methods.allSatisfy { $0.meanSpeedUp >= 1 })
    }
}

extension Experiment {
    /// The recipe's experiment of another seed.
    init(seed: UInt64, of trained: TrainedExperiment) throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        var recipe = trained.experiment.recipe
        recipe.seed = seed
        recipe.data = .features(folder.file("features.safetensors"))
        try trained.experiment.features().write(to: recipe.data.path, splits: trained.experiment.splits.trainAlone)
        try self.init(recipe)
    }
}

extension Splits {
    /// The train split, the others taken away.
    var trainAlone: Splits { Splits(train: train, tune: [], certify: [], test: []) }
}

@Suite("The level of certificates in a study")
struct StudyLevelTests {
    private static let trained = Result { () throws -> TrainedExperiment in
        var cache = SyntheticCache()
        cache.samples = 900
        cache.exits = 3
        cache.splitCode = { $0 / 3 % 3 == 0 ? 0 : 255 }
        return try TrainedExperiment(cache, splits: "{ train: stored, tune: 0.3, certify: 0.4, test: 0.3 }")
    }

    /// All orders, and betting and a search with a threshold for each exit.
    private static let methods: [StudyMethod] =
        CandidateOrder.allCases.map { order in
            StudyMethod(
                name: order.rawValue, rule: Recipe.RuleChoice(),
                choice: .certified(search: .single, order: order, test: .standard))
        } + [
            StudyMethod(
                name: "betting", rule: Recipe.RuleChoice(),
                choice: .certified(search: .single, order: .standard, test: .betting)),
            StudyMethod(
                name: "exact binomial", rule: Recipe.RuleChoice(),
                choice: .certified(search: .single, order: .standard, test: .exactBinomial)),
            StudyMethod(
                name: "per exit", rule: Recipe.RuleChoice(),
                choice: .certified(
                    search: .perExitCoordinate(starts: 1, moves: .single), order: .standard, test: .standard)),
        ]

    private static let repeats = 500

    /// Whether every method's error rate is what a valid procedure may show.
    private func isValid(_ result: StudyResult) throws -> Bool {
        let rates = try result.methods.map { try #require($0.errorRate) }
        return rates.allSatisfy { $0 <= result.largestErrorRate }
    }

    @Test(
        "holds for every order, test and search, with all policies at the edge of the null and with some beyond it",
        arguments: [(StudyDraws.Source.resplit, StudyDraws.Labels.random), (.bootstrap, .random), (.bootstrap, .given)])
    func level(source: StudyDraws.Source, labels: StudyDraws.Labels) throws {
        let trained = try Self.trained.get()
        let result = try Study(
            trained.experiment, from: trained.experiment.exits(trained.heads), repeats: Self.repeats, source: source,
            labels: labels,
            methods: Self.methods
        ).run()
        let largest = 0.05 + 3 * (0.05 * 0.95 / Double(Self.repeats)).squareRoot()
        #expect(result.largestErrorRate == largest)
        #expect(try isValid(result), "\(result.methods.map { ($0.method, $0.errorRate) })")
        if labels == .random {
            // An error is whatever is certified; some must be, or the check could not fail.
            #expect(result.methods.contains { ($0.errorRate ?? 0) > 0.01 })
            #expect(result.methods.allSatisfy { abs(($0.errorRate ?? -1) + $0.uncertified - 1) < 1e-12 })
        }
    }

    /// Certifies as some wrong procedure does, draw by draw, and puts the trials together as a study does.
    private func result(
        of procedure: (_ calibrator: Calibrator, _ outputs: SplitOutputs) throws -> Bool
    ) throws -> StudyResult {
        let trained = try Self.trained.get()
        let study = try Study(
            trained.experiment, from: trained.experiment.exits(trained.heads), repeats: 200, labels: .random,
            methods: [Self.methods[0]])
        let pool = try trained.experiment.exits(trained.heads).outputs(
            rows: study.draws.poolRows, measure: .maxProbability)
        let trials = try (0..<study.repeats).map { number in
            var bySplit = try study.draws.draw(number, from: pool)
            bySplit[.train] = trained.outputs[.train]
            return Study.Trial(
                isCertified: try procedure(Calibrator(trained.experiment), SplitOutputs(bySplit)), speedUp: 1,
                testGap: 0, trueGap: 0)
        }
        return StudyResult(study, trials: [trials])
    }

    @Test("lets the right procedure pass the check that the mistakes below fail")
    func right() throws {
        let result = try result { calibrator, outputs in try calibrator.calibrate(outputs).certificate != nil }
        #expect(try isValid(result))
    }

    @Test("catches a procedure that certifies on the samples it chose with")
    func certifiesOnTune() throws {
        let result = try result { calibrator, outputs in
            var bySplit = outputs.bySplit
            bySplit[.certify] = outputs[.tune]
            return try calibrator.calibrate(SplitOutputs(bySplit)).certificate != nil
        }
        #expect(try !isValid(result))
    }

    @Test("catches a procedure without a fixed order, which takes the fastest candidate that is rejected by itself")
    func withoutOrder() throws {
        let result = try result { calibrator, outputs in
            let rule = calibrator.exitRule(weights: calibrator.weights(tune: outputs[.tune]))
            let certifier = calibrator.certifier(tune: outputs[.tune])
            let tune = certifier.view(outputs[.tune], rule: rule)
            let path = try CandidateSet.search(tune.whole.table, recipe: calibrator.recipe).path
            let tests = PathTests(certifier.test, of: path, on: certifier.view(outputs[.certify], rule: rule))
            return (0..<path.count).reversed().contains { tests.isRejected($0, at: 0.05) }
        }
        #expect(try !isValid(result))
    }
}
