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
    public struct Line: Codable, Equatable, Sendable {
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

    /// At how many places along an order predictions are made.
    private static let places = 100

    /// Predicts by cross-fitting.
    ///
    /// Candidates and their order are found on four fifths of tune and counted on the fifth that played no part, in
    /// turn. Places at the same share of the five orders are put together, and walks with the certify split's size are
    /// drawn along them. A larger gap admits whatever a smaller one does, so no line is worse than the one before.
    ///
    /// - Complexity: that of five searches.
    init(
        _ calibrator: Calibrator, tune: ExitOutputs, certifySamples: Int, gaps: [Double]
    ) throws(InputError) {
        let rule = calibrator.exitRule(weights: calibrator.weights(tune: tune))
        let certifier = calibrator.certifier(tune: tune)
        // [gaps][places]
        var pooled = Array(repeating: [PathEvidence?](repeating: nil, count: Self.places), count: gaps.count)
        for (rest, held) in CrossFit.divide(tune, seed: calibrator.recipe.seed) {
            let rest = certifier.view(rest, rule: rule)
            let own = certifier.view(held, rule: rule)
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
                fullCost: calibrator.costs.full)
        }
        for index in lines.indices.dropFirst() {
            lines[index].speedUp = max(lines[index].speedUp, lines[index - 1].speedUp)
            lines[index].certified = max(lines[index].certified, lines[index - 1].certified)
        }
    }

    /// What the walk comes to on average.
    ///
    /// Along the order the certify split's noise is that of sums over more and more discordant samples, so it is drawn as
    /// a Brownian motion whose clock is their variance; the statistic divides it by the variance under the null.
    private static func line(
        _ gap: Double, places: [PathEvidence], sampleRatio: Double, level: Double, fullCost: Double
    ) -> Line {
        let needed = -Normal.quantile(level)
        let z = places.map { $0.z(allowedGap: gap)[0] * sampleRatio.squareRoot() }
        let speedUps = places.map { fullCost / $0.meanCosts[0] }
        let clock = places.map(\.first.variance)
        let scales = places.map { $0.first.nullVariance(allowedGap: gap, loss: $0.loss).squareRoot() }
        var generator = SplitMix64(seed: 0)
        func normal() -> Double {
            // The middle of one of 2^53 equal parts: never 0 or 1.
            Normal.quantile((Double(generator.next() >> 11) + 0.5) * 0x1p-53)
        }
        var (speedUp, certified) = (0.0, 0)
        for _ in 0..<walks {
            var (noise, time, reached) = (0.0, 0.0, 1.0)
            for place in places.indices {
                if clock[place] > time {
                    noise += (clock[place] - time).squareRoot() * normal()
                    time = clock[place]
                }
                guard scales[place] > 0, z[place] + noise / scales[place] >= needed else { break }
                if place == 0 { certified += 1 }
                reached = speedUps[place]
            }
            speedUp += reached
        }
        return Line(
            allowedGap: gap, speedUp: speedUp / Double(walks), certified: Double(certified) / Double(walks))
    }

    /// How many walks are drawn.
    private static let walks = 1000
}

extension Calibrator {
    /// What other allowed gaps would give, without a look at certify but for its size.
    ///
    /// - Throws: `InputError` when the recipe's grid has too many policies.
    public func tradeOff(_ outputs: SplitOutputs) throws(InputError) -> TradeOff {
        let tune = outputs[.tune]
        return try TradeOff(
            self, tune: tune, certifySamples: outputs[.certify].sampleCount,
            gaps: TradeOff.gaps(for: recipe.guarantee))
    }

    /// What is to be expected of the recipe's own gap.
    func prediction(tune: ExitOutputs, certifySamples: Int) throws(InputError) -> TradeOff.Line {
        try TradeOff(
            self, tune: tune, certifySamples: certifySamples, gaps: [recipe.guarantee.allowedGap]
        ).lines[0]
    }
}
