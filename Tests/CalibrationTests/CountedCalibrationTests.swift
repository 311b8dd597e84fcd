import ExitRules
import FeatureCache
import Ranks
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("A calibration on counts")
struct CountedCalibrationTests {
    /// Recipes that it can do.
    static let changes: [(name: String, change: @Sendable (inout Recipe) -> Void)] = [
        ("as it is", { _ in }),
        ("memory", { $0.rule.memory = 0.2 }),
        ("maximum probability", { $0.rule = .init(kind: .maxProbability) }),
        ("patience", { $0.rule = .init(kind: .patience) }),
        ("static", { $0.rule = .init(kind: .static) }),
        ("log-odds", { $0.rule.weights = .logOdds }),
        (
            "a gap, and p-values",
            {
                $0.guarantee.allowedGap = 0.02; $0.guarantee.order = .tuneZ
            }
        ),
        ("tune-p", { $0.guarantee.order = .tuneP }),
        (
            "two chains",
            {
                $0.guarantee.order = .fallback; $0.guarantee.allowedGap = 0.03
            }
        ),
        (
            "the best exit",
            {
                $0.guarantee.reference = .best; $0.guarantee.allowedGap = 0.05
            }
        ),
        ("an exit", { $0.guarantee.reference = .exit(1) }),
        (
            "disagreement",
            {
                $0.guarantee.loss = .disagreement; $0.guarantee.allowedGap = 0.1
            }
        ),
        ("thresholds per exit", { $0.search = .perExitCoordinate(starts: 0, moves: .single) }),
        (
            "thresholds per exit, with a gap",
            {
                $0.search = .perExitCoordinate(starts: 0, moves: .single)
                $0.guarantee.allowedGap = 0.03
            }
        ),
        ("nothing to certify", { $0.guarantee.failureProbability = 1e-12 }),
    ]

    @Test(
        "finds the policy and the certificate of one process, for any number of ranks", arguments: changes.map(\.name))
    func same(name: String) throws {
        let trained = try TrainedExperiment.standard.get()
        let change = try #require(Self.changes.first { $0.name == name }).change
        let calibrator = trained.calibrator(change)
        let whole = try calibrator.calibrate(trained.outputs, certifyUses: 3)
        for count in [1, 2, 3] {
            let found = ThreadRanks.run(count) { ranks in
                var own: [Split: ExitOutputs] = [:]
                for split in Split.allCases {
                    let outputs = trained.outputs[split]
                    own[split] = outputs.selecting(Array(ranks.part(of: outputs.sampleCount)))
                }
                return calibrator.calibrate(own: own, ranks: ranks, certifyUses: 3, threads: 1)
            }
            for counted in found {
                #expect(counted.weights == whole.weights)
                #expect(counted.thresholds == whole.thresholds)
                #expect(counted.tunedThresholds == whole.tunedThresholds)
                #expect(counted.certificate == whole.certificate)
                #expect(counted.candidateCount == whole.candidateCount)
                #expect(counted.testedCount == whole.testedCount && counted.sequenceLength == whole.sequenceLength)
                for split in [Split.tune, .certify, .test] {
                    #expect(counted.outcomes[split] == whole.outcome(on: split))
                    #expect(counted.finalError(on: split) == whole.finalError(on: split))
                }
            }
        }
        #expect((whole.certificate == nil) == (name == "nothing to certify" || whole.passed.isEmpty))
    }

    @Test("refuses what looks at all samples together, and names the key")
    func refused() throws {
        let cases: [(extra: String, key: String)] = [
            ("rule: { kind: auto }", "rule"),
            ("search: { thresholds: per-exit, method: coordinate }", "search.thresholds"),
            ("search: { minimumSpeedUp: 1.5 }", "search.minimumSpeedUp"),
            ("guarantee: { classes: all }", "guarantee"),
            ("cost: { layers: { check: 0.1 } }\nsearch: { exits: choose }", "search.exits"),
        ]
        for (extra, key) in cases {
            let folder = try TemporaryFolder()
            let experiment = try Experiment(Recipe(reading: writeRecipe(in: folder, extra: extra)))
            let error = #expect(throws: InputError.self) { try experiment.checkCountable() }
            #expect(error?.item == key)
            #expect("\(try #require(error))".contains("--counts"))
        }
        var grouped = SyntheticCache()
        grouped.groupSize = 3
        let folder = try TemporaryFolder()
        let experiment = try Experiment(Recipe(reading: writeRecipe(in: folder, cache: grouped)))
        #expect(throws: InputError.self) { try experiment.checkCountable() }
    }
}
