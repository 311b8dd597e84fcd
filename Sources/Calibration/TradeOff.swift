import ExitRules
import FeatureCache
import Foundation
import RiskControl
import Safetensors
import Statistics
import ThresholdOptimizer

/// What other allowed gaps would give, predicted on the tune split alone: the certify split is not looked at, so one may
/// choose a gap by it and still use certify once.
public struct TradeOff: Encodable, Equatable, Sendable {
    /// One allowed gap.
    public struct Line: Encodable, Equatable, Sendable {
        /// The gap, a fraction.
        public var allowedGap: Double
        /// The speed-up to be expected, 1 where nothing is certified.
        public var speedUp: Double
        /// The probability of a certificate.
        public var certified: Double
    }

    /// From small gaps to large ones.
    public var lines: [Line]

    /// The gaps that are always shown: 0, 0.25, 0.5, 1 and 2 points.
    public static let usualGaps = [0, 0.0025, 0.005, 0.01, 0.02]

    /// The usual gaps and a recipe's own; for disagreement without 0.
    public static func gaps(for guarantee: Recipe.Guarantee) -> [Double] {
        Set(usualGaps + [guarantee.allowedGap]).filter { guarantee.loss == .error || $0 > 0 }.sorted()
    }

    /// Into how many parts tune is divided.
    static let folds = 5
    /// At how many places along an order predictions are made.
    private static let places = 100

    /// Predicts by cross-fitting.
    ///
    /// Candidates and their order are found on four fifths of tune and counted on the fifth that played no part, in
    /// turn. Places at the same share of the five orders are put together; at each the probability of passing is that of
    /// the normal approximation with the certify split's size, and the walk gets as far as its hardest place so far
    /// (neighbours share nearly all of their samples, so they pass or fail together).
    ///
    /// - Complexity: that of five searches.
    init(_ calibrator: Calibrator, tune: ExitOutputs, certifySamples: Int, rule: any ExitRule) throws(InputError) {
        let certifier = calibrator.certifier(tune: tune)
        let gaps = Self.gaps(for: calibrator.recipe.guarantee)
        // [gaps][places]
        var pooled = Array(repeating: [PathEvidence?](repeating: nil, count: Self.places), count: gaps.count)
        let fold = Self.foldOfSample(tune, seed: calibrator.recipe.seed)
        for held in 0..<Self.folds {
            let rest = certifier.view(tune.selecting(fold.indices.filter { fold[$0] != held }), rule: rule)
            let own = certifier.view(tune.selecting(fold.indices.filter { fold[$0] == held }), rule: rule)
            let path = try CandidateSet.search(rest.whole.table, recipe: calibrator.recipe).path
            let evidence = PathEvidence(path, on: rest)
            for (index, gap) in gaps.enumerated() {
                let plan = certifier.plan(
                    evidence, allowedGap: gap, samples: rest.whole.table.sampleCount, certifySamples: certifySamples)
                guard !plan.candidates.isEmpty else { continue }
                let unseen = PathEvidence(path.selecting(plan.candidates), on: own)
                for place in 0..<Self.places {
                    let candidate = place * (plan.candidates.count - 1) / max(Self.places - 1, 1)
                    let item = unseen.selecting(candidate)
                    pooled[index][place] = pooled[index][place].map { $0 + item } ?? item
                }
            }
        }
        let ratio = Double(certifySamples) / Double(max(tune.sampleCount, 1))
        lines = zip(gaps, pooled).map { gap, places in
            Self.line(
                gap, places: places.compactMap(\.self), sampleRatio: ratio, level: calibrator.recipe.guarantee.level,
                finalCost: calibrator.costs[calibrator.costs.count - 1])
        }
    }

    private static func line(
        _ gap: Double, places: [PathEvidence], sampleRatio: Double, level: Double, finalCost: Double
    ) -> Line {
        let quantile = Normal.quantile(level)
        var reach = 1.0
        var passing = places.map { place in
            reach = min(reach, Normal.cdf(place.z(allowedGap: gap)[0] * sampleRatio.squareRoot() + quantile))
            return reach
        }
        passing.append(0)
        var speedUp = 1 - (passing.first ?? 0)
        for (index, place) in places.enumerated() {
            speedUp += (passing[index] - passing[index + 1]) * finalCost / place.meanCosts[0]
        }
        return Line(allowedGap: gap, speedUp: speedUp, certified: places.isEmpty ? 0 : passing[0])
    }

    /// [samples]: which fifth a sample is in; by the seed, groups whole.
    private static func foldOfSample(_ outputs: ExitOutputs, seed: UInt64) -> [Int] {
        (0..<outputs.sampleCount).map { sample in
            let identity = outputs.groups.map { UInt64(bitPattern: Int64($0[sample])) } ?? UInt64(sample)
            return Int(SplitMix64.hash(seed: seed, id: identity) % UInt64(folds))
        }
    }
}

extension Calibrator {
    /// What other allowed gaps would give, without a look at certify but for its size.
    ///
    /// - Throws: ``InputError`` when the recipe's grid has too many policies.
    public func tradeOff(_ outputs: SplitOutputs) throws(InputError) -> TradeOff {
        let tune = outputs[.tune]
        return try TradeOff(
            self, tune: tune, certifySamples: outputs[.certify].sampleCount,
            rule: exitRule(weights: weights(tune: tune)))
    }
}
