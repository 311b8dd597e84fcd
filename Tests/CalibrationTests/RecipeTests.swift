import Backprop
import ExitRules
import FeatureCache
import Safetensors
import Testing

@testable import Calibration

@Suite("A recipe")
struct RecipeTests {
    static let minimal = """
        name: small
        features: features.safetensors
        splits: { train: 0.5, tune: 0.2, certify: 0.2, test: 0.1 }
        output: out
        """

    private func parse(_ text: String) throws -> Recipe { try Recipe(parsing: text, file: "recipes/small/recipe.yaml") }

    @Test("says as little as it must, and the rest has the defaults that the design names")
    func defaults() throws {
        let recipe = try parse(Self.minimal)
        #expect(recipe.name == "small")
        #expect(recipe.data.path.hasSuffix("recipes/small/features.safetensors"))
        #expect(recipe.output.hasSuffix("recipes/small/out"))
        #expect(recipe.splits == .fractions(train: 0.5, tune: 0.2, certify: 0.2, test: 0.1))
        #expect(recipe.rule == Recipe.RuleChoice(kind: .beem, weights: .accuracy, memory: 1, restart: .current))
        #expect(recipe.training.l2 == [1e-4, 1e-3, 1e-2, 1e-1])
        #expect(recipe.search == .single)
        #expect(recipe.guarantee == Recipe.Guarantee(allowedGap: 0, failureProbability: 0.05))
    }

    @Test("has a value for every key")
    func everything() throws {
        let recipe = try parse(
            """
            name: full
            features: /data/f.safetensors
            splits: { train: stored, tune: 0.3, certify: 0.4, test: 0.3 }
            seed: 7
            heads: { kind: linear }
            training: { optimizer: adamw, l2: 0.01, learningRate: 0.1, epochs: 3, batchSize: 64 }
            rule: { kind: beem, weights: [0.5, 1], memory: 0.3, confidence: margin, restart: zero }
            cost: [1.5, 4]
            search: { thresholds: per-exit, method: grid, values: 5 }
            guarantee: { allowedGap: 0, failureProbability: 0.1, reference: final }
            output: /tmp/out
            """)
        #expect(recipe.data == .features("/data/f.safetensors"))
        #expect(recipe.splits == .storedTrain(tune: 0.3, certify: 0.4, test: 0.3))
        #expect(recipe.seed == 7)
        #expect(recipe.training.l2 == [0.01])
        #expect(
            recipe.training.optimizer == .minibatch(MinibatchSettings(learningRate: 0.1, epochs: 3, batchSize: 64)))
        #expect(
            recipe.rule
                == Recipe.RuleChoice(
                    kind: .beem, weights: .given([0.5, 1]), memory: 0.3, confidence: .margin, restart: .zero))
        #expect(recipe.cost == .list([1.5, 4]))
        #expect(recipe.search == .perExitGrid(values: 5))
        #expect(recipe.guarantee.failureProbability == 0.1)
    }

    @Test("has every setting of hidden heads, losses and steps")
    func trainingSettings() throws {
        let recipe = try parse(
            Self.minimal + """

                heads: { kind: hidden, width: 64, activation: tanh, dropout: 0.2, layerNorm: true }
                training: { optimizer: sgd, momentum: 0.8, nesterov: true, schedule: linear, warmup: 0.1, maximumNorm: 2,
                  epochs: 7, batchSize: 32, patience: none, loss: joint, temperature: 3, teacher: together,
                  classWeights: balanced, labelSmoothing: 0.05, l2: 0 }
                """)
        #expect(
            recipe.training
                == TrainingSettings(
                    architecture: .hidden(
                        HiddenLayerSettings(width: 64, activation: .tanh, dropout: 0.2, hasLayerNorm: true)),
                    loss: TrainingLoss(
                        classWeights: .balanced, smoothing: 0.05,
                        teacher: .init(isJoint: true, temperature: 3, isTrainedTogether: true)),
                    optimizer: .minibatch(
                        MinibatchSettings(
                            method: .sgd(momentum: 0.8, isNesterov: true), learningRate: 0.001, schedule: .linear,
                            warmup: 0.1, maximumNorm: 2, epochs: 7, batchSize: 32)),
                    l2: [0]))
        let short = try parse(Self.minimal + "\nheads: { kind: hidden }\n")
        #expect(
            short.training.optimizer == .minibatch(MinibatchSettings(learningRate: 0.001, patience: 5)),
            "hidden heads are trained by AdamW with early stopping unless the recipe says otherwise")
        let error = try #require(throws: InputError.self) {
            try parse(Self.minimal + "\nheads: { kind: hidden }\ntraining: { optimizer: lbfgs }\n")
        }
        #expect(error.item?.hasPrefix("training.optimizer") == true)
        #expect(error.advice?.contains("linear heads") == true)
    }

    @Test("with a misspelt key points at it and proposes the right one")
    func misspelt() throws {
        let error = try #require(throws: InputError.self) {
            try parse(Self.minimal + "\nrule: { kind: beem, wieghts: cost }\n")
        }
        #expect(error.kind == .unknownKey)
        #expect(error.item == "rule.wieghts (line 5, column 21)")
        #expect(error.advice == "Did you mean `weights`?")
        #expect(error.file == "recipes/small/recipe.yaml")
    }

    @Test(
        "with a wrong value says where, what stands there and what may",
        arguments: [
            ("rule: { kind: bem }", "rule.kind", "one of beem"),
            ("rule: { kind: beem, memory: 1.5 }", "rule.memory", "0...1"),
            ("rule: { kind: beem, weights: [1, -1] }", "rule.weights[1]", "not negative"),
            ("rule: { kind: max-probability, memory: 1 }", "rule.memory", "no such key"),
            ("seed: -1", "seed", "not negative"),
            ("seed: many", "seed", "whole number"),
            ("cost: [2, 1]", "cost", "increasing"),
            ("cost: watts", "cost", "one of layers"),
            ("guarantee: { failureProbability: 0 }", "guarantee.failureProbability", "between 0 and 1"),
            ("guarantee: { allowedGap: .nan }", "guarantee.allowedGap", "fraction"),
            ("search: { thresholds: single, starts: 3 }", "search.starts", "no such key"),
            ("training: { l2: [] }", "training.l2", "list of numbers"),
            ("training: { optimizer: lbfgs, epochs: 3 }", "training.epochs", "no such key"),
            ("training: { optimizer: adamw, momentum: 0.9 }", "training.momentum", "no such key with `adamw`"),
            ("training: { optimizer: sgd, nesterov: true, momentum: 0 }", "training.nesterov", "without momentum"),
            ("training: { temperature: 2 }", "training.temperature", "loss: distillation"),
            ("training: { loss: joint, teacher: together }", "training.teacher", "`first` with `lbfgs`"),
            ("training: { loss: squared-error, labelSmoothing: 0.1 }", "training.labelSmoothing", "no such key"),
            ("training: { labelSmoothing: 1 }", "training.labelSmoothing", "below 1"),
            ("training: { classWeights: [1, -1] }", "training.classWeights[1]", "not negative"),
            ("training: { optimizer: adamw, patience: 0 }", "training.patience", "from 1"),
            ("training: { optimizer: adamw, warmup: 1 }", "training.warmup", "below 1"),
            ("heads: { kind: hidden, activation: gelo }", "heads.activation", "one of tanh, relu, gelu"),
            ("heads: { kind: hidden, dropout: 1 }", "heads.dropout", "below 1"),
            ("heads: { kind: linear, width: 3 }", "heads.width", "no such key with `kind: linear`"),
        ])
    func wrongValue(line: String, item: String, expected: String) throws {
        let error = try #require(throws: InputError.self) { try parse(Self.minimal + "\n" + line + "\n") }
        #expect(error.item?.hasPrefix(item + " (line 5") == true)
        #expect(error.expected.contains(expected))
    }

    @Test("whose fractions do not sum to one is refused with the sum")
    func fractions() throws {
        let text = Self.minimal.replacing("test: 0.1", with: "test: 0.2")
        let error = try #require(throws: InputError.self) { try parse(text) }
        #expect(error.item?.hasPrefix("splits") == true)
        #expect(error.seen.contains("1.1"))
        #expect(error.expected == "a sum of 1")
    }

    @Test(
        "without a key that must be there, or that is no mapping or no YAML, is refused",
        arguments: [
            "name: x\nfeatures: f\noutput: o", "- a\n- b", "name: [", "", "just a text",
        ])
    func malformed(text: String) throws {
        let error = try #require(throws: InputError.self) { try parse(text) }
        #expect(error.kind == .missing || error.kind == .malformed)
    }
}
