import Backprop
import ExitHeads
import ExitPolicy
import FeatureCache
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("An experiment")
struct ExperimentTests {
    private func experiment(_ folder: TemporaryFolder, cache: SyntheticCache = SyntheticCache(), extra: String = "")
        throws
        -> Experiment
    {
        try Experiment(Recipe(reading: writeRecipe(in: folder, cache: cache, extra: extra)))
    }

    @Test("goes from features to a policy whose numbers are those of its own decisions")
    func endToEnd() throws {
        let folder = try TemporaryFolder()
        let experiment = try experiment(folder)
        let heads = HeadSet(heads: try experiment.train().map(\.head))
        let outputs = try experiment.outputs(of: experiment.exits(heads))
        let result = try Calibrator(experiment).calibrate(outputs)
        try heads.write(to: folder.file("heads.safetensors"))
        let policy = try Policy(result, of: experiment, headsFile: folder.file("heads.safetensors"))
        try policy.write(to: folder.file("policy.json"))

        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        for split in Split.allCases {
            let rows = try applied.rows(of: split)
            #expect(rows == experiment.splits[split])
            let decisions = applied.decisions(try applied.outputs(rows: rows))
            let outcome = result.outcome(on: split)
            let errors = zip(rows, decisions).count { applied.samples.labels[$0] != $1.label }
            #expect(errors == outcome.errors)
            for exit in 0..<experiment.samples.exitCount {
                #expect(decisions.count { $0.exit == exit } == outcome.released[exit])
            }
        }
        // Deeper exits are better here, and the first is good enough for many samples.
        let certificate = try #require(result.certificate)
        #expect(certificate.pValue <= 0.05)
        #expect(result.outcome(on: .test).speedUp > 1.1)
    }

    @Test("gives the same bytes twice, whatever the number of threads")
    func determinism() throws {
        let folder = try TemporaryFolder()
        let recipe = try Recipe(reading: writeRecipe(in: folder))
        var bytes: [[Data]] = []
        for threads in [1, 2, 5] {
            let experiment = try Experiment(recipe, threads: threads)
            let heads = HeadSet(heads: try experiment.train().map(\.head))
            let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
            let path = folder.file("heads.safetensors")
            try heads.write(to: path)
            bytes.append([
                try Data(contentsOf: URL(fileURLWithPath: path)),
                try Policy(result, of: experiment, headsFile: path).encoded(),
            ])
        }
        #expect(bytes[1] == bytes[0])
        #expect(bytes[2] == bytes[0])
    }

    @Test("certifies a faster policy when a gap is allowed, by the exact unconditional test")
    func allowedGap() throws {
        let folder = try TemporaryFolder()
        let path = try writeRecipe(in: folder)
        let strict = try calibrate(path, in: folder)
        var recipe = try Recipe(reading: path)
        recipe.guarantee.allowedGap = 0.03
        let experiment = try Experiment(recipe)
        let heads = try HeadSet(reading: folder.file("heads.safetensors"))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
        let certificate = try #require(result.certificate)
        #expect(certificate.kind == .pairedExactTrinomial)
        #expect(certificate.allowedGap == 0.03)
        #expect(certificate.order == "smoothed-z")
        #expect(certificate.pValue <= 0.05)
        #expect(certificate.speedUp > strict.outcome(on: .certify).speedUp)
    }

    @Test("says that it never leaves early when labels are noise and nothing can be certified")
    func nothingCertified() throws {
        var cache = SyntheticCache()
        // Exit 0 sees nothing of the class, so leaving there can only harm.
        cache.exits = 2
        cache.corruption = { features in features[0] = features[0].map { _ in 0.5 } }
        let folder = try TemporaryFolder()
        let experiment = try experiment(folder, cache: cache)
        let heads = HeadSet(heads: try experiment.train().map(\.head))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
        #expect(result.certificate == nil)
        #expect(result.thresholds == .neverLeaveEarly(exitCount: 2))
        #expect(result.outcome(on: .test).speedUp == 1)
    }

    @Test(
        "searches thresholds of their own for each exit when asked to",
        arguments: [
            "search: { thresholds: per-exit, method: coordinate, starts: 2 }",
            "search: { thresholds: per-exit, method: grid, values: 6 }",
        ])
    func perExit(search: String) throws {
        let folder = try TemporaryFolder()
        let experiment = try experiment(folder, extra: search)
        let heads = HeadSet(heads: try experiment.train().map(\.head))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
        let tuned = result.outcome(of: result.tunedThresholds, on: .tune)
        #expect(tuned.counts.harmfulFlips <= tuned.counts.helpfulFlips)
        #expect(tuned.speedUp > 1)
        #expect(result.candidateCount > 10)
    }

    @Test("refuses a grid with too many policies, and says what to do")
    func gridTooLarge() throws {
        var cache = SyntheticCache()
        cache.exits = 12
        let folder = try TemporaryFolder()
        let experiment = try experiment(
            folder, cache: cache, extra: "search: { thresholds: per-exit, method: grid, values: 9 }")
        let heads = HeadSet(heads: try experiment.train().map(\.head))
        let outputs = try experiment.outputs(of: experiment.exits(heads))
        let error = try #require(throws: InputError.self) {
            try Calibrator(experiment).calibrate(outputs)
        }
        #expect(error.item == "search.values")
        #expect(error.advice?.contains("coordinate") == true)
    }

    @Test(
        "refuses what does not fit the cache",
        arguments: [
            ("cost: [1, 2]", "cost"), ("rule: { kind: beem, weights: [1, 1, 1] }", "rule.weights"),
        ])
    func mismatch(extra: String, item: String) throws {
        let folder = try TemporaryFolder()
        let error = try #require(throws: InputError.self) { try experiment(folder, extra: extra) }
        #expect(error.item == item)
    }

    @Test("names tensor, row and column of a feature that is not finite", arguments: [Float.nan, .infinity])
    func notFinite(value: Float) throws {
        var cache = SyntheticCache()
        cache.corruption = { $0[2][10 * 6 + 4] = value }
        let folder = try TemporaryFolder()
        let error = try #require(throws: InputError.self) { try experiment(folder, cache: cache) }
        #expect(error.kind == .notFinite)
        #expect(error.description.contains("features.2"))
        #expect(error.description.contains("10"))
        #expect(error.description.contains("4"))
    }

    @Test("says so when training diverges, instead of writing heads of NaN")
    func diverged() throws {
        let folder = try TemporaryFolder()
        let experiment = try experiment(
            folder, extra: "training: { optimizer: adamw, learningRate: 1e300, epochs: 2 }")
        let error = try #require(throws: InputError.self) { try experiment.train() }
        #expect(error.kind == .notFinite)
        #expect(error.advice?.contains("learningRate") == true)
    }

    @Test("names a label out of range and a class that is missing from train")
    func labels() throws {
        var cache = SyntheticCache()
        cache.relabelling = { $0[17] = 3 }
        let folder = try TemporaryFolder()
        let outOfRange = try #require(throws: InputError.self) { try experiment(folder, cache: cache) }
        #expect(outOfRange.kind == .outOfRange)
        #expect(outOfRange.description.contains("17"))
        cache.relabelling = { labels in labels = labels.map { $0 == 2 ? 1 : $0 } }
        let missing = try #require(throws: InputError.self) { try experiment(folder, cache: cache) }
        #expect(missing.description.contains("class 2"))
    }
}

@Suite("A policy that is applied")
struct AppliedPolicyTests {
    /// A folder with a cache, heads and a policy.
    private func calibrated(_ cache: SyntheticCache = SyntheticCache()) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try calibrate(writeRecipe(in: folder, cache: cache), in: folder)
        return folder
    }

    private func open(_ folder: TemporaryFolder) throws -> AppliedPolicy {
        try AppliedPolicy(policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
    }

    @Test("refuses heads other than those it was calibrated with")
    func otherHeads() throws {
        let folder = try calibrated()
        var heads = try HeadSet(reading: folder.file("heads.safetensors"))
        guard case .linear(var head) = heads.heads[0] else { return #expect(Bool(false), "heads are linear") }
        head.bias[0] += 1
        heads.heads[0] = .linear(head)
        try heads.write(to: folder.file("heads.safetensors"))
        let error = try #require(throws: InputError.self) { try open(folder) }
        #expect(error.kind == .mismatch)
        #expect(error.file.hasSuffix("heads.safetensors"))
        #expect(error.expected.contains("calibrated with"))
    }

    @Test("refuses a cache with more exits than it has")
    func moreExits() throws {
        let folder = try calibrated()
        var cache = SyntheticCache()
        cache.exits = 5
        try cache.write(to: folder.file("features.safetensors"))
        let error = try #require(throws: InputError.self) { try open(folder) }
        #expect(error.kind == .mismatch)
        #expect(error.seen == "4 exits, layer 0, layer 1, layer 2, layer 3")
    }

    @Test("refuses a cache of another task")
    func otherClasses() throws {
        let folder = try calibrated()
        var cache = SyntheticCache()
        cache.classes = 4
        try cache.write(to: folder.file("features.safetensors"))
        let error = try #require(throws: InputError.self) { try open(folder) }
        #expect(error.item == "classes")
    }

    @Test("knows the splits of its own cache, and says so when another cache stores none")
    func splits() throws {
        let folder = try calibrated()
        #expect(try open(folder).rows(of: .test).count == 180)
        #expect(try open(folder).rows(of: nil).count == 1200)
        var cache = SyntheticCache()
        cache.seed = 2
        try cache.write(to: folder.file("features.safetensors"))
        let error = try #require(throws: InputError.self) { try open(folder).rows(of: .test) }
        #expect(error.kind == .missing)
    }

    @Test("is confirmed, contradicted or left undecided by new samples as the flips say")
    func verification() throws {
        let folder = try calibrated()
        let applied = try open(folder)
        var outputs = try applied.outputs(rows: applied.rows(of: .test))
        let honest = Verification(applied, outputs: outputs, level: 0.05)
        #expect(honest.counts.samples == 180)
        #expect(honest.verdict != .contradicted)
        // Give the final layer's answer as the truth wherever the policy left early with another: all flips harm.
        outputs.truth = outputs.labels[outputs.exitCount - 1]
        let harmed = Verification(applied, outputs: outputs, level: 0.05)
        #expect(harmed.counts.helpfulFlips == 0)
        #expect(harmed.counts.harmfulFlips > 10)
        #expect(harmed.verdict == .contradicted)
        #expect(try #require(harmed.gapInterval).lower > 0)
        // And the policy's answers as the truth: all flips help.
        outputs.truth = applied.decisions(outputs).map(\.label)
        let helped = Verification(applied, outputs: outputs, level: 0.05)
        #expect(helped.counts.harmfulFlips == 0)
        #expect(helped.counts.helpfulFlips > 10)
        #expect(helped.verdict == .confirmed)
        #expect(try #require(helped.gapInterval).upper < 0)
    }
}
