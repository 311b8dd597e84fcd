import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import LinearAlgebra
import Ranks
import RiskControl
import Safetensors
import ThresholdOptimizer

/// What a calibration on counts found.
public struct CountedCalibration: Sendable {
    /// [exits]: the weights.
    public let weights: [Double]
    /// The certified thresholds, or those that never leave early.
    public let thresholds: Thresholds
    /// The fastest thresholds within the allowed gap on the tune split; not certified.
    public let tunedThresholds: Thresholds
    /// What is certified; nil when nothing could be.
    public let certificate: Certificate?
    /// How many policies the search on tune offered.
    public let candidateCount: Int
    /// How many of them were put in order for the certify split.
    public let sequenceLength: Int
    /// How many were tested there.
    public let testedCount: Int
    /// What the policy does on tune, certify and test.
    public let outcomes: [Split: Outcome]
    /// What the final layer gets wrong there.
    public let finalErrors: [Split: Int]

    /// The final layer's error rate on a split.
    public func finalError(on split: Split) -> Double {
        Double(finalErrors[split]!) / Double(max(outcomes[split]!.sampleCount, 1))
    }
}

extension Calibrator {
    /// Calibrates as ``calibrate(_:certifyUses:)`` does, on what ranks count of their own samples: the same policy and
    /// certificate, for any number of ranks. What they exchange grows with exits and candidates, of which there are at most
    /// some ten thousand, and not with the samples.
    ///
    /// - Parameters:
    ///   - own: what the exits say of this rank's part of tune, certify and test.
    ///   - ranks: who has the other parts.
    ///   - certifyUses: how many runs have used the certify split.
    ///   - threads: how many this rank may use.
    /// - Complexity: O(n L + e log e) for n own samples, L exits and e running maxima of their scores.
    public func calibrate(
        own: [Split: ExitOutputs], ranks: any Communicator, certifyUses: Int = 1,
        threads: Int = Parallel.availableThreads
    ) -> CountedCalibration {
        let (tune, certify, test) = (own[.tune]!, own[.certify]!, own[.test]!)
        let errors = ranks.sums(tune.errorCounts)
        let tuneCount = ranks.sums([tune.sampleCount])[0]
        let weights = weights(errors: errors, sampleCount: tuneCount)
        let rule = exitRule(weights: weights)
        let reference = referenceExit(errors: errors)
        func shared(_ outputs: ExitOutputs, loss: PolicyLoss) -> SharedTable {
            SharedTable(
                ScoreTable(
                    outputs: outputs, rule: rule, costs: costs.cumulative, reference: reference, loss: loss,
                    fullCost: costs.full), among: ranks)
        }
        let loss = recipe.guarantee.loss
        let (tuneTable, certifyTable) = (shared(tune, loss: loss), shared(certify, loss: loss))
        let search = recipe.search == .single ? CandidateSet.search : CandidateSet.searchPerExit
        let (candidates, points) = search(tuneTable, recipe.guarantee.allowedGap, threads)
        let certifier = Certifier(
            guarantee: recipe.guarantee, seed: recipe.seed, costs: costs, reference: reference, maximumGroupSize: 1,
            partNames: [])
        let plan = certifier.plan(
            PathEvidence(
                parts: [
                    points.map {
                        PathEvidence.Item(counts: $0.counts, moments: nil, costSum: $0.costSum)
                    }
                ], loss: loss),
            allowedGap: recipe.guarantee.allowedGap, samples: tuneCount, certifySamples: certifyTable.sampleCount)
        let found = certifier.certify(
            candidates.path, plan: plan, counts: certifyTable.points(of: candidates.path.selecting(plan.candidates)))
        let thresholds = found.thresholds ?? .neverLeaveEarly(exitCount: costs.count)
        // Where errors are what counts, the tables are there already.
        let tables: [Split: SharedTable] = [
            .tune: loss == .error ? tuneTable : shared(tune, loss: .error),
            .certify: loss == .error ? certifyTable : shared(certify, loss: .error), .test: shared(test, loss: .error),
        ]
        var outcomes: [Split: Outcome] = [:]
        var finalErrors: [Split: Int] = [:]
        // One after another: ranks ask in the same order, and dictionaries have none.
        for split in [Split.tune, .certify, .test] {
            outcomes[split] = tables[split]!.outcome(of: thresholds)
            finalErrors[split] = tables[split]!.errors(ofExit: costs.count - 1)
        }
        return CountedCalibration(
            weights: weights, thresholds: thresholds, tunedThresholds: candidates.tuned,
            certificate: found.thresholds.map { passed in
                let exits = certifyTable.table.exitsTaken(passed)
                let isSame = (0..<certify.exitCount).map { certify.isSame(exit: $0, as: reference) }
                return certifier.certificate(
                    found, outcome: certifyTable.outcome(of: passed),
                    disagreements: ranks.sums([exits.indices.count { !isSame[exits[$0]][$0] }])[0], uses: certifyUses)
            },
            candidateCount: candidates.path.count, sequenceLength: found.planned, testedCount: found.tested.count,
            outcomes: outcomes, finalErrors: finalErrors)
    }
}

extension Experiment {
    /// Refuses what a calibration on counts cannot do: what looks at all samples together.
    ///
    /// - Throws: `InputError` that names the key of the recipe.
    public func checkCountable() throws(InputError) {
        func refused(_ key: String, seen: String, expected: String) -> InputError {
            InputError(
                .unsupported, file: recipe.file, item: key, seen: seen,
                expected: "\(expected), to calibrate on counts",
                advice: "Change the recipe, or calibrate in one process without --counts.")
        }
        if recipe.picksRule { throw refused("rule", seen: "kind: auto", expected: "a rule") }
        if recipe.exits == .choose { throw refused("search.exits", seen: "choose", expected: "all exits, or a list") }
        guard [.single, .perExitCoordinate(starts: 0, moves: .single)].contains(recipe.search) else {
            throw refused(
                "search.thresholds", seen: "another search",
                expected: "single, or per-exit with starts: 0 and moves: single")
        }
        if recipe.minimumSpeedUp != nil {
            throw refused("search.minimumSpeedUp", seen: "a speed-up to reach", expected: "an allowed gap")
        }
        if recipe.guarantee.parts != nil {
            throw refused("guarantee", seen: "parts of the population", expected: "all samples together")
        }
        if maximumGroupSize > 1 {
            throw refused("guarantee.maxGroupSize", seen: "samples in groups", expected: "independent samples")
        }
    }
}
