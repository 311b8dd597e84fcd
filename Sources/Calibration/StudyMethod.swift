import ExitPolicy
import ExitRules
import RiskControl

/// A way to come to a policy, as a study compares them.
public struct StudyMethod: Equatable, Sendable {
    /// How thresholds are chosen.
    public enum Choice: Equatable, Sendable {
        /// The fastest shared threshold within the allowed gap on tune.
        case tunedToEquality
        /// The paper's rule, exit by exit.
        case perExitRule
        /// The rule predicted to be certified at the highest speed-up, then as `certified`.
        case automatic(AutomaticRule.Pool)
        /// Certified candidates of a search.
        case certified(search: Recipe.SearchChoice, order: CandidateOrder, test: Test)
        /// What published code for risk control of early exits does: harmful flips alone, exact binomial, thresholds from
        /// 1 down to 0, in a fixed sequence from the conservative end.
        case clippedLossSequence(usesTune: Bool)
    }

    /// Which test certifies.
    public enum Test: String, Sendable {
        /// The one that the toolkit uses.
        case standard
        /// McNemar's exact test.
        case exactBinomial = "exact binomial"
        /// The betting test, each sample a group of its own.
        case betting
    }

    /// What it is called in tables.
    public var name: String
    /// How scores are made.
    public var rule: Recipe.RuleChoice
    /// How thresholds are chosen.
    public var choice: Choice

    /// Creates a method.
    public init(name: String, rule: Recipe.RuleChoice, choice: Choice) {
        self.name = name
        self.rule = rule
        self.choice = choice
    }

    /// Whether it claims a guarantee.
    public var isCertifying: Bool {
        switch choice {
        case .certified, .clippedLossSequence, .automatic: true
        case .tunedToEquality, .perExitRule: false
        }
    }

    /// The methods a study of a recipe compares.
    ///
    /// - Parameters:
    ///   - recipe: whose guarantee and search are taken.
    ///   - hasGroups: leaves out the tests that take samples for independent.
    public static func all(for recipe: Recipe, hasGroups: Bool = false) -> [StudyMethod] {
        let maximum = Recipe.RuleChoice(kind: .maxProbability)
        var rules: [(name: String, rule: Recipe.RuleChoice)] = [
            ("BEEM-A", Recipe.RuleChoice(weights: .accuracy)), ("BEEM-C", Recipe.RuleChoice(weights: .cost)),
            ("max-probability", maximum), ("margin", Recipe.RuleChoice(kind: .margin, confidence: .margin)),
            ("entropy", Recipe.RuleChoice(kind: .entropy, confidence: .entropy)),
            ("patience", Recipe.RuleChoice(kind: .patience)), ("static", Recipe.RuleChoice(kind: .static)),
        ]
        if !rules.contains(where: { $0.rule == recipe.rule }) { rules.insert(("recipe's rule", recipe.rule), at: 0) }
        var methods: [StudyMethod] = []
        for (name, rule) in rules {
            methods.append(StudyMethod(name: "\(name), tuned to equality", rule: rule, choice: .tunedToEquality))
            methods.append(StudyMethod(name: "\(name), the paper's per-exit rule", rule: rule, choice: .perExitRule))
            for order in CandidateOrder.allCases {
                methods.append(
                    StudyMethod(
                        name: "\(name), certified, \(order.rawValue)", rule: rule,
                        choice: .certified(search: .single, order: order, test: .standard)))
            }
        }
        let standard = CandidateOrder.standard
        for (name, rule) in rules where rule.kind != .static {
            methods.append(
                StudyMethod(
                    name: "\(name), curve, certified, \(standard.rawValue)", rule: rule,
                    choice: .certified(search: .curve(nil), order: standard, test: .standard)))
        }
        let (name, rule) = rules[0]
        let countsFlips = !hasGroups && recipe.guarantee.loss == .error && recipe.guarantee.parts == nil
        for test in countsFlips ? [Test.exactBinomial, .betting] : [] {
            methods.append(
                StudyMethod(
                    name: "\(name), certified, \(standard.rawValue), \(test.rawValue)", rule: rule,
                    choice: .certified(search: .single, order: standard, test: test)))
        }
        methods.append(
            StudyMethod(
                name: "\(name), per exit, certified, \(standard.rawValue)", rule: rule,
                choice: .certified(
                    search: .perExitCoordinate(starts: 2, moves: .single), order: standard, test: .standard)))
        methods.append(
            StudyMethod(
                name: "automatic rule, certified, \(standard.rawValue)", rule: rule,
                choice: .automatic(AutomaticRule.Pool())))
        for usesTune in countsFlips ? [false, true] : [] {
            methods.append(
                StudyMethod(
                    name: "max-probability, clipped loss" + (usesTune ? " on tune and certify" : ""), rule: maximum,
                    choice: .clippedLossSequence(usesTune: usesTune)))
        }
        return methods
    }
}

extension StudyMethod {
    var isAutomatic: Bool {
        if case .automatic = choice { true } else { false }
    }

    /// The measures of confidence that the method asks for.
    func measures(classCount: Int, known: Set<ConfidenceMeasure>) -> Set<ConfidenceMeasure> {
        isAutomatic ? Set(AutomaticRule.measures(classCount: classCount, known: known)) : [rule.confidence]
    }

    /// The methods a study of an experiment compares.
    ///
    /// - Parameters:
    ///   - experiment: the recipe with its data.
    ///   - measures: what the exits' confidence can measure.
    public static func all(for experiment: Experiment, measures: Set<ConfidenceMeasure>) -> [StudyMethod] {
        all(for: experiment.recipe, hasGroups: experiment.maximumGroupSize > 1).filter {
            $0.isAutomatic ? !measures.isEmpty : $0.rule.isPossible(with: measures)
        }
    }
}
