import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("Samples in groups")
struct GroupTests {
    /// Groups of four, many enough that something is certified.
    private static let trained = Result { () throws -> TrainedExperiment in
        var cache = SyntheticCache()
        cache.samples = 6000
        cache.groupSize = 4
        return try TrainedExperiment(cache)
    }

    private func experiment(_ cache: SyntheticCache, extra: String = "") throws -> Experiment {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        return try Experiment(
            Recipe(reading: writeRecipe(in: folder, cache: cache, splits: "stored", extra: extra)))
    }

    /// Groups of two, but for one of five that lies in a split.
    private func cache(largeGroupIn split: Split) -> SyntheticCache {
        var cache = SyntheticCache()
        cache.samples = 400
        cache.groupSize = 2
        // Blocks of a hundred samples: train, tune, certify, test.
        cache.splitCode = { UInt8($0 / 100) }
        let start = 100 * Int(split.rawValue)
        cache.regrouping = { groups in for row in start..<(start + 5) { groups[row] = 9999 } }
        return cache
    }

    @Test("are certified by betting, with the group as the unit, and the p-value is that of the plain test")
    func certified() throws {
        let trained = try Self.trained.get()
        #expect(trained.experiment.maximumGroupSize == 4)
        for gap in [0, 0.02] {
            let result = try trained.calibrate { $0.guarantee.allowedGap = gap }
            let certificate = try #require(result.certificate)
            #expect(certificate.kind == .groupBetting)
            let outputs = trained.outputs[.certify]
            let exits = result.tables[.certify]!.exitsTaken(result.thresholds)
            let final = outputs.labels[outputs.exitCount - 1]
            let differences = exits.indices.map { sample in
                (outputs.labels[exits[sample]][sample] == outputs.truth[sample] ? 0.0 : 1)
                    - (final[sample] == outputs.truth[sample] ? 0 : 1)
            }
            #expect(certificate.harmfulFlips == differences.count { $0 == 1 })
            #expect(certificate.helpfulFlips == differences.count { $0 == -1 })
            let pValue = try PairedBettingTest(allowedGap: gap, seed: trained.experiment.recipe.seed).pValue(
                differences: differences, groups: #require(outputs.groups).map(Int.init), maximumGroupSize: 4)
            #expect(certificate.pValue == pValue)
            #expect(pValue <= 0.05)
        }
    }

    @Test("are certified at a larger gap too where they are at gap 0, and the policy is no slower")
    func largerGap() throws {
        var cache = SyntheticCache()
        cache.samples = 2400
        cache.groupSize = 4
        let trained = try TrainedExperiment(cache)
        // Policies that hardly flip anything have no evidence for a gap above 0: too few groups say so.
        let speedUps = try [0, 0.01, 0.02].map { gap in
            let result = try trained.calibrate { $0.guarantee.allowedGap = gap }
            #expect(result.certificate != nil, "gap \(gap)")
            return result.outcome(on: .certify).speedUp
        }
        #expect(speedUps[0] <= speedUps[1] && speedUps[1] <= speedUps[2])
    }

    @Test("may be certified for disagreement, and the certificate says so")
    func disagreement() throws {
        let trained = try Self.trained.get()
        let result = try trained.calibrate {
            $0.guarantee.loss = .disagreement
            $0.guarantee.allowedGap = 0.2
        }
        let certificate = try #require(result.certificate)
        let plain = PlainCounts(
            result.thresholds, rule: result.rule, outputs: trained.outputs[.certify], reference: 3)
        #expect(certificate.kind == .groupBetting && certificate.loss == .disagreement)
        #expect(certificate.harmfulFlips == plain.disagreements && certificate.helpfulFlips == 0)
    }

    @Test("show no interval of the gap on test, for it would take samples for independent")
    func noInterval() throws {
        let trained = try Self.trained.get()
        let folder = try TemporaryFolder()
        try trained.heads.write(to: folder.file("heads.safetensors"))
        let policy = try Policy(
            trained.calibrate(), of: trained.experiment, headsFile: folder.file("heads.safetensors"))
        let test = try #require(policy.test)
        #expect(test.gapInterval == nil)
        #expect(test.samples == trained.outputs[.test].sampleCount)
        let independent = try TrainedExperiment.standard.get()
        let other = try Policy(
            independent.calibrate(), of: independent.experiment, headsFile: folder.file("heads.safetensors"))
        #expect(other.test?.gapInterval?.count == 2)
    }

    @Test("of one sample each are independent samples, and calibrate as without groups")
    func groupsOfOne() throws {
        var cache = SyntheticCache()
        cache.groupSize = 1
        let grouped = try TrainedExperiment(cache)
        #expect(grouped.experiment.maximumGroupSize == 1)
        let plain = try TrainedExperiment.standard.get().calibrate()
        #expect(try grouped.calibrate().certificate == plain.certificate)
    }

    @Test("larger in certify than any in train and tune are refused, and the group is named")
    func largerInCertify() throws {
        let error = try #require(throws: InputError.self) { try experiment(cache(largeGroupIn: .certify)) }
        #expect(error.kind == .outOfRange)
        #expect(error.item == "group 9999")
        #expect(error.seen == "5 samples")
        #expect(error.expected.contains("at most 2"))
        #expect(error.advice?.contains("maxGroupSize") == true)
    }

    @Test("may be as large as the recipe declares, and no larger")
    func declared() throws {
        let cache = cache(largeGroupIn: .certify)
        #expect(try experiment(cache, extra: "guarantee: { maxGroupSize: 5 }").maximumGroupSize == 5)
        #expect(try experiment(cache, extra: "guarantee: { maxGroupSize: 8 }").maximumGroupSize == 8)
        let error = try #require(throws: InputError.self) {
            try experiment(cache, extra: "guarantee: { maxGroupSize: 4 }")
        }
        #expect(error.item == "group 9999")
        #expect(error.expected.contains("at most 4"))
    }

    @Test("count in train and tune for the largest that can occur", arguments: [Split.train, .tune])
    func largestSeen(split: Split) throws {
        #expect(try experiment(cache(largeGroupIn: split)).maximumGroupSize == 5)
    }

    @Test("are asked for where the recipe declares a size and the cache has none; a size of 1 says nothing")
    func noGroups() throws {
        var cache = cache(largeGroupIn: .train)
        cache.groupSize = 0
        cache.regrouping = nil
        let error = try #require(throws: InputError.self) {
            try experiment(cache, extra: "guarantee: { maxGroupSize: 4 }")
        }
        #expect(error.kind == .missing)
        #expect(error.item == "group")
        #expect(error.expected.contains("maxGroupSize: 4"))
        #expect(try experiment(cache, extra: "guarantee: { maxGroupSize: 1 }").maximumGroupSize == 1)
    }

    @Test("that are harmed together weigh less than as many independent samples")
    func dependence() throws {
        let certifier = { (size: Int) in
            Certifier(
                guarantee: Recipe.Guarantee(), seed: 1, costs: ExitCosts(cumulative: [1, 2]), reference: 1,
                maximumGroupSize: size,
                partNames: [])
        }
        // 60 helpful flips of 400 samples, in groups of ten or one by one.
        let differences = (0..<400).map { $0 < 60 ? -1.0 : 0 }
        let alone = certifier(1).test.pValue(
            .counts(PairedCounts(samples: 400, harmfulFlips: 0, helpfulFlips: 60)))
        let together = certifier(10).test.pValue(
            .grouped(differences: differences, groups: (0..<400).map { $0 / 10 }))
        #expect(alone < 1e-5)
        #expect(together > 1e-3)
    }

    @Test("are verified by betting too: confirmed, contradicted or left undecided, without an interval")
    func verification() throws {
        let trained = try Self.trained.get()
        let folder = try TemporaryFolder()
        var cache = SyntheticCache()
        cache.samples = 6000
        cache.groupSize = 4
        try cache.write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        try Policy(trained.calibrate(), of: trained.experiment, headsFile: folder.file("heads.safetensors"))
            .write(to: folder.file("policy.json"))
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        let rows = try applied.rows(of: .test)
        #expect(try applied.maximumGroupSize(rows: rows, declared: nil) == 4)
        let error = try #require(throws: InputError.self) {
            try applied.maximumGroupSize(rows: rows, declared: 3)
        }
        #expect(error.item?.hasPrefix("group ") == true && error.seen == "4 samples")

        var outputs = try applied.outputs(rows: rows)
        func verdict(_ outputs: ExitOutputs) -> Verification.Verdict {
            let verification = Verification(applied, outputs: outputs, level: 0.05, maximumGroupSize: 4)
            #expect(verification.gapInterval == nil)
            return verification.verdict
        }
        #expect(verdict(outputs) != .contradicted)
        outputs.truth = outputs.labels[outputs.exitCount - 1]
        #expect(verdict(outputs) == .contradicted)
        outputs.truth = applied.decisions(outputs).map(\.label)
        #expect(verdict(outputs) == .confirmed)
        // A few harmful flips in a few groups decide nothing.
        let few = outputs.selecting(Array(0..<20))
        #expect(verdict(few) == .undecided)
    }
}
