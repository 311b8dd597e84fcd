import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import RiskControl
import Safetensors
import TestSupport
import Testing
import ThresholdOptimizer

@testable import Calibration

@Suite("A guarantee for parts of the population")
struct PartsTests {
    /// Three classes and two subgroups, large enough that each can be certified.
    private static let trained = Result { () throws -> TrainedExperiment in
        var cache = SyntheticCache()
        cache.samples = 4800
        cache.subgroups = 2
        return try TrainedExperiment(cache)
    }

    /// What a guarantee sees of the candidates in their order: flips of every part, by plain selection of samples.
    private struct Walk {
        var path: PolicyPath
        /// [parts][candidates]
        var counts: [[PairedCounts]]

        init(_ calibrator: Calibrator, _ outputs: SplitOutputs) throws {
            let rule = calibrator.exitRule(weights: calibrator.weights(tune: outputs[.tune]))
            let certifier = calibrator.certifier(tune: outputs[.tune])
            let tune = certifier.view(outputs[.tune], rule: rule)
            let candidates = try CandidateSet.search(tune.whole.table, recipe: calibrator.recipe).path
            let plan = certifier.plan(
                PathEvidence(candidates, on: tune), allowedGap: calibrator.recipe.guarantee.allowedGap,
                samples: outputs[.tune].sampleCount, certifySamples: outputs[.certify].sampleCount)
            let path = candidates.selecting(plan.candidates)
            let certify = outputs[.certify]
            let isOfClasses = calibrator.recipe.guarantee.parts?.partition == .classes
            let codes = isOfClasses ? certify.truth : certify.subgroups!
            counts = calibrator.partNames.indices.map { part in
                let rows = codes.indices.filter { codes[$0] == Int32(part) }
                return (0..<path.count).map { candidate in
                    let plain = PlainCounts(
                        path.thresholds(of: candidate), rule: rule, outputs: certify,
                        reference: calibrator.costs.count - 1, rows: rows)
                    return PairedCounts(
                        samples: plain.samples, harmfulFlips: plain.harmful, helpfulFlips: plain.helpful)
                }
            }
            self.path = path
        }
    }

    @Test(
        "that must all pass goes as far along the order as each of them alone is rejected at the full level",
        arguments: [
            (Certificate.Parts.Partition.classes, 0.02), (.subgroups, 0.02), (.subgroups, 0), (.classes, 0),
        ])
    func all(partition: Certificate.Parts.Partition, gap: Double) throws {
        let trained = try Self.trained.get()
        let calibrator = trained.calibrator {
            $0.guarantee.parts = Recipe.PartsChoice(partition: partition, demand: .all)
            $0.guarantee.allowedGap = gap
        }
        let result = try calibrator.calibrate(trained.outputs)
        let walk = try Walk(calibrator, trained.outputs)
        let test = ExactTrinomialTest(allowedGap: gap)
        let passed = (0..<walk.path.count).prefix { candidate in
            walk.counts.allSatisfy { test.pValue($0[candidate]) <= 0.05 }
        }
        guard let last = passed.last else {
            #expect(result.certificate == nil)
            return
        }
        let certificate = try #require(result.certificate)
        #expect(result.thresholds == walk.path.thresholds(of: last))
        #expect(certificate.pValue == walk.counts.map { test.pValue($0[last]) }.max())
        #expect(certificate.candidatesTested == min(last + 2, walk.path.count))
        let parts = try #require(certificate.parts)
        #expect(parts.partition == partition && parts.demand == .all)
        #expect(parts.members.map(\.name) == calibrator.partNames)
        #expect(parts.members.allSatisfy { $0.isCertified })
        for (member, counts) in zip(parts.members, walk.counts) {
            #expect(member.samples == counts[last].samples)
            #expect(member.harmfulFlips == counts[last].harmfulFlips)
            #expect(member.helpfulFlips == counts[last].helpfulFlips)
        }
        #expect(parts.members.reduce(0) { $0 + $1.harmfulFlips } == certificate.harmfulFlips)
    }

    @Test("one by one marks those that parallel chains reach with the level divided among them")
    func each() throws {
        let trained = try Self.trained.get()
        var (marked, open) = (0, 0)
        for partition in Certificate.Parts.Partition.allCases {
            for gap in [0, 0.005, 0.01, 0.02] {
                let calibrator = trained.calibrator {
                    $0.guarantee.parts = Recipe.PartsChoice(partition: partition, demand: .each)
                    $0.guarantee.allowedGap = gap
                }
                let result = try calibrator.calibrate(trained.outputs)
                let walk = try Walk(calibrator, trained.outputs)
                let test = ExactTrinomialTest(allowedGap: gap)
                let reaches = ParallelChains(level: 0.05).walk(chains: walk.counts.count, length: walk.path.count) {
                    test.pValue(walk.counts[$0][$1]) <= $2
                }
                // The whole is certified as without parts.
                let whole = try trained.calibrate { $0.guarantee.allowedGap = gap }
                #expect(result.thresholds == whole.thresholds)
                guard let certificate = result.certificate else { continue }
                #expect(certificate.pValue == whole.certificate?.pValue)
                let parts = try #require(certificate.parts)
                let policy = try #require(
                    (0..<walk.path.count).first { walk.path.thresholds(of: $0) == result.thresholds })
                #expect(parts.members.map(\.isCertified) == reaches.map { $0.count > policy })
                marked += parts.members.count(where: \.isCertified)
                open += parts.members.count { !$0.isCertified }
            }
        }
        #expect(marked > 0 && open > 0, "the cases tell marks from their absence")
    }

    @Test("that must all pass is never faster than without them")
    func slower() throws {
        let trained = try Self.trained.get()
        let whole = try trained.calibrate { $0.guarantee.allowedGap = 0.02 }
        let all = try trained.calibrate {
            $0.guarantee.allowedGap = 0.02
            $0.guarantee.parts = Recipe.PartsChoice(partition: .classes, demand: .all)
        }
        #expect(all.outcome(on: .certify).speedUp <= whole.outcome(on: .certify).speedUp)
    }

    @Test("names those with too few certify samples for any outcome to be certified")
    func hopeless() throws {
        let trained = try Self.trained.get()
        var bySplit = trained.outputs.bySplit
        // Four samples of class 2 remain: 1 / 2^4 is above the level.
        let certify = bySplit[.certify]!
        let rare = certify.truth.indices.filter { certify.truth[$0] == 2 }
        let dropped = Set(rare.dropFirst(4))
        bySplit[.certify] = certify.selecting(certify.truth.indices.filter { !dropped.contains($0) })
        for demand in Certificate.Parts.Demand.allCases {
            let calibrator = trained.calibrator {
                $0.guarantee.parts = Recipe.PartsChoice(partition: .classes, demand: demand)
            }
            let result = try calibrator.calibrate(SplitOutputs(bySplit))
            #expect(result.partsTooSmall == ["class 2"])
            if demand == .all { #expect(result.certificate == nil) }
            if demand == .each { #expect(result.certificate?.parts?.members[2].isCertified == false) }
            #expect(try calibrator.calibrate(trained.outputs).partsTooSmall.isEmpty)
        }
        #expect(try trained.calibrator().calibrate(SplitOutputs(bySplit)).partsTooSmall.isEmpty)
    }

    @Test("is not without hope for a part that the whole level would certify")
    func enoughForTheWholeLevel() throws {
        let trained = try Self.trained.get()
        var bySplit = trained.outputs.bySplit
        // Five helpful flips of five: 1 / 2^5 is below the level, and above a third of it.
        let certify = bySplit[.certify]!
        let dropped = Set(certify.truth.indices.filter { certify.truth[$0] == 2 }.dropFirst(5))
        bySplit[.certify] = certify.selecting(certify.truth.indices.filter { !dropped.contains($0) })
        for demand in Certificate.Parts.Demand.allCases {
            let result = try trained.calibrator {
                $0.guarantee.parts = Recipe.PartsChoice(partition: .classes, demand: demand)
            }.calibrate(SplitOutputs(bySplit))
            #expect(result.partsTooSmall.isEmpty)
        }
    }

    @Test("asks for subgroups in the cache, and reads their names there")
    func subgroups() throws {
        let folder = try TemporaryFolder()
        let path = try writeRecipe(in: folder, extra: "guarantee: { subgroups: all }")
        let error = try #require(throws: InputError.self) { try Experiment(Recipe(reading: path)) }
        #expect(error.kind == .missing && error.item == "subgroup")
        var cache = SyntheticCache()
        cache.subgroups = 2
        try cache.write(to: folder.file("features.safetensors"))
        #expect(try Experiment(Recipe(reading: path)).partNames == ["site 0", "site 1"])
        let classes = try writeRecipe(in: folder, cache: cache, extra: "guarantee: { classes: each }")
        #expect(try Experiment(Recipe(reading: classes)).partNames == ["class 0", "class 1", "class 2"])
    }

    @Test("of which one has no samples in certify gives no certificate for all, and marks the others")
    func emptyPart() throws {
        let trained = try Self.trained.get()
        var bySplit = trained.outputs.bySplit
        for split in [Split.tune, .certify] {
            let outputs = bySplit[split]!
            let subgroups = outputs.subgroups!
            bySplit[split] = outputs.selecting(subgroups.indices.filter { subgroups[$0] == 0 })
        }
        for demand in Certificate.Parts.Demand.allCases {
            let result = try trained.calibrator {
                $0.guarantee.allowedGap = 0.02
                $0.guarantee.parts = Recipe.PartsChoice(partition: .subgroups, demand: demand)
            }.calibrate(SplitOutputs(bySplit))
            #expect(result.partsTooSmall == ["site 1"])
            #expect((result.certificate == nil) == (demand == .all))
        }
    }
}

@Suite("The dual problem")
struct MinimumSpeedUpTests {
    @Test(
        "gives a policy that is fast enough on tune, with the smallest gap that certify shows",
        arguments: [1.3, 1.6, 2])
    func smallestGap(speedUp: Double) throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try trained.calibrate { $0.minimumSpeedUp = speedUp }
        let certificate = try #require(result.certificate)
        #expect(result.outcome(on: .tune).speedUp >= speedUp)
        #expect(certificate.order == "single-pick" && certificate.candidatesTested == 1)
        let step = 0.0005
        let steps = (certificate.allowedGap / step).rounded()
        #expect(abs(certificate.allowedGap - steps * step) < 1e-12)
        let plain = PlainCounts(
            result.thresholds, rule: result.rule, outputs: trained.outputs[.certify], reference: 3)
        let counts = PairedCounts(
            samples: plain.samples, harmfulFlips: plain.harmful, helpfulFlips: plain.helpful)
        #expect(certificate.harmfulFlips == plain.harmful && certificate.helpfulFlips == plain.helpful)
        #expect(certificate.pValue == ExactTrinomialTest(allowedGap: certificate.allowedGap).pValue(counts))
        #expect(certificate.pValue <= 0.05)
        if steps > 0 {
            #expect(ExactTrinomialTest(allowedGap: (steps - 1) / 2000).pValue(counts) > 0.05)
        }
    }

    @Test("shows a gap above 0 where speed is dear, and the allowed gap of the recipe plays no part")
    func priceOfSpeed() throws {
        let trained = try TrainedExperiment.standard.get()
        let fast = try trained.calibrate { $0.minimumSpeedUp = 4 }
        #expect(try #require(fast.certificate).allowedGap > 0)
        let other = try trained.calibrate {
            $0.minimumSpeedUp = 4
            $0.guarantee.allowedGap = 0.3
        }
        #expect(other.certificate == fast.certificate)
    }

    @Test("finds nothing where no policy is fast enough")
    func tooFast() throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try trained.calibrate { $0.minimumSpeedUp = 4.01 }
        #expect(result.certificate == nil && result.sequenceLength == 0 && result.testedCount == 0)
        #expect(result.thresholds == .neverLeaveEarly(exitCount: 4))
    }
}

@Suite("Uses of a certify split that were planned")
struct UsesTests {
    @Test(
        "divide the failure probability: the certificate's p-value is at most delta over uses", arguments: [1, 3, 10])
    func level(uses: Int) throws {
        let trained = try TrainedExperiment.standard.get()
        let result = try trained.calibrate {
            $0.guarantee.uses = uses
            $0.guarantee.allowedGap = 0.02
        }
        let certificate = try #require(result.certificate)
        #expect(certificate.uses == uses && certificate.failureProbability == 0.05)
        #expect(certificate.level == 0.05 / Double(uses))
        #expect(certificate.pValue <= 0.05 / Double(uses))
        // The same as a smaller failure probability, but for what the certificate says.
        let other = try trained.calibrate {
            $0.guarantee.failureProbability = 0.05 / Double(uses)
            $0.guarantee.allowedGap = 0.02
        }
        #expect(other.thresholds == result.thresholds && other.testedCount == result.testedCount)
    }
}
