import ExitRules
import Safetensors

/// Picks weights, memory and confidence measure by the speed-up that is predicted to be certified.
///
/// The prediction is cross-fitted on tune (``TradeOff``), so certify plays no part, and the certificate holds for
/// whatever is picked. The prediction of the pick itself flatters: it is the largest of many.
public struct AutomaticRule: Sendable {
    /// One rule with what is predicted of it.
    public struct Candidate: Equatable, Sendable {
        /// The rule.
        public let rule: Recipe.RuleChoice
        /// What is predicted for the recipe's allowed gap.
        public let prediction: TradeOff.Line
    }

    /// All candidates, the best first.
    public let candidates: [Candidate]

    /// The rule that is picked.
    public var rule: Recipe.RuleChoice { candidates[0].rule }

    /// The rules that are tried.
    ///
    /// - Parameter classCount: with two classes all measures of confidence order samples alike, and one is enough.
    static func rules(classCount: Int) -> [Recipe.RuleChoice] {
        let measures: [ConfidenceMeasure] = classCount > 2 ? [.maxProbability, .margin] : [.maxProbability]
        var rules: [Recipe.RuleChoice] = []
        for measure in measures {
            for memory in [0, 0.1, 0.2, 0.3, 0.5, 0.7, 1] {
                for weights in [ExitWeights.accuracy, .logOdds, .cost, .uniform] {
                    rules.append(Recipe.RuleChoice(weights: weights, memory: memory, confidence: measure))
                }
            }
        }
        return rules
    }

    /// Predicts and picks; of equal predictions the first of the list wins.
    ///
    /// - Parameters:
    ///   - tune: what all exits say of tune, by what confidence measures.
    /// - Throws: ``InputError`` when the recipe's grid has too many policies.
    /// - Complexity: five searches for each rule.
    init(
        _ calibrator: Calibrator, tune: [ConfidenceMeasure: ExitOutputs], certifySamples: Int, classCount: Int
    ) throws(InputError) {
        var candidates: [Candidate] = []
        for rule in Self.rules(classCount: classCount) {
            var own = calibrator
            own.recipe.rule = rule
            candidates.append(
                Candidate(
                    rule: rule,
                    prediction: try own.prediction(tune: tune[rule.confidence]!, certifySamples: certifySamples)))
        }
        // A stable sort: the first of equals stays first.
        self.candidates = candidates.enumerated().sorted { first, second in
            let (own, other) = (first.element.prediction.speedUp, second.element.prediction.speedUp)
            return own != other ? own > other : first.offset < second.offset
        }.map(\.element)
    }
}
