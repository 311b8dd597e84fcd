import Statistics
import Testing

@testable import Backprop

@Suite("Training heads")
struct HeadTrainerTests {
    @Test("ends where scikit-learn's LogisticRegression does")
    func agreesWithScikitLearn() throws {
        for data in try Golden.read().cases {
            let scaling = Standardization(of: data.denseRows, threads: 1)
            for golden in data.optima {
                let settings = TrainingSettings(optimizer: .lbfgs(LBFGSSettings(tolerance: 1e-15)), l2: [golden.l2])
                let trained = HeadTrainer(settings: settings).train(
                    data.labelled, tune: data.labelled, classCount: data.classes)
                #expect(trained.choice.converged)
                #expect(abs(trained.choice.objective - golden.objective) <= 1e-7 * golden.objective)
                let found = LinearParameters(try trained.head.linear, standardization: scaling)
                let expected = LinearParameters(weight: golden.weight, bias: golden.bias)
                #expect(relativeDistance(found.values, expected.values) <= 1e-5)
            }
        }
    }

    @Test("reaches the objective to 1e-5 with the tolerance that recipes have by default")
    func defaultToleranceIsEnough() throws {
        for data in try Golden.read().cases {
            let settings = TrainingSettings(l2: data.optima.map(\.l2))
            let trained = HeadTrainer(settings: settings).train(
                data.labelled, tune: data.labelled, classCount: data.classes)
            for (candidate, golden) in zip(trained.candidates, data.optima) {
                #expect(abs(candidate.objective - golden.objective) <= 1e-5 * golden.objective)
                #expect(candidate.evaluations < 40)
            }
        }
    }

    @Test("keeps the penalty with the lowest cross-entropy on tune")
    func choosesByTune() throws {
        let data = try Golden.read().cases[1]
        let half = data.rows / 2
        let train = LabelledRows(
            features: DenseRows(values: Array(data.features[..<(half * data.width)]), width: data.width),
            labels: Array(data.labels[..<half]))
        let tune = LabelledRows(
            features: DenseRows(values: Array(data.features[(half * data.width)...]), width: data.width),
            labels: Array(data.labels[half...]))
        let trained = HeadTrainer(settings: TrainingSettings(l2: [1e-5, 1e-2, 10])).train(
            train, tune: tune, classCount: data.classes)
        let lowest = trained.candidates.map(\.tuneLoss).min()
        #expect(trained.choice.tuneLoss == lowest)
        #expect(trained.chosen != 2, "a penalty of 10 leaves next to nothing of the head")
        #expect(trained.candidates.map(\.l2) == [1e-5, 1e-2, 10])
    }

    @Test("starts where saved heads are, and is at the optimum at once when they are")
    func finetunes() throws {
        let data = try Golden.read().cases[0]
        let trainer = HeadTrainer(settings: TrainingSettings(l2: [1e-2]))
        let first = trainer.train(data.labelled, tune: data.labelled, classCount: data.classes)
        let second = trainer.train(
            data.labelled, tune: data.labelled, classCount: data.classes, initial: first.head)
        #expect(second.choice.evaluations <= 2)
        #expect(abs(second.choice.objective - first.choice.objective) <= 1e-6 * first.choice.objective)
    }

    @Test("gives the same head to the last bit whatever the number of threads")
    func threadsDoNotMatter() throws {
        let data = try Golden.read().cases[2]
        let settings = TrainingSettings(l2: [1e-3, 1e-1])
        let heads = [1, 2, 5].map { threads in
            HeadTrainer(settings: settings, threads: threads).train(
                data.labelled, tune: data.labelled, classCount: data.classes)
        }
        #expect(heads[1] == heads[0])
        #expect(heads[2] == heads[0])
    }

    @Test("gives the same head to the last bit whether rows are kept in memory or read again")
    func memoryBudgetDoesNotMatter() throws {
        let data = try Golden.read().cases[1]
        let settings = TrainingSettings(l2: [1e-3, 1e-1])
        let heads = [0, 1 << 20].map { budget in
            HeadTrainer(settings: settings, memoryBudget: budget).train(
                data.labelled, tune: data.labelled, classCount: data.classes)
        }
        #expect(heads[1] == heads[0])
    }

    @Test("ignores a feature that does not vary")
    func constantFeature() throws {
        let data = try Golden.read().cases[0]
        var features: [Float] = []
        for row in 0..<data.rows {
            features += data.features[(row * data.width)..<((row + 1) * data.width)]
            features.append(7.25)
        }
        let wide = LabelledRows(features: DenseRows(values: features, width: data.width + 1), labels: data.labels)
        let trainer = HeadTrainer(settings: TrainingSettings(l2: [1e-2]))
        let trained = trainer.train(wide, tune: wide, classCount: data.classes)
        let without = trainer.train(data.labelled, tune: data.labelled, classCount: data.classes)
        for row in 0..<data.classes {
            #expect(try trained.head.linear.weight[row * (data.width + 1) + data.width] == 0)
        }
        #expect(abs(trained.choice.objective - without.choice.objective) <= 1e-6 * without.choice.objective)
    }

    @Test("by AdamW comes near the optimum, and repeats itself with the same seed")
    func adamW() throws {
        let data = try Golden.read().cases[1]
        let settings = TrainingSettings(
            optimizer: .minibatch(MinibatchSettings(learningRate: 0.05, epochs: 60, batchSize: 32)), l2: [0])
        func train(seed: UInt64) -> TrainedHead {
            HeadTrainer(settings: settings, seed: seed).train(
                data.labelled, tune: data.labelled, classCount: data.classes)
        }
        let first = train(seed: 1)
        let optimum = HeadTrainer(settings: TrainingSettings(l2: [1e-9])).train(
            data.labelled, tune: data.labelled, classCount: data.classes)
        #expect(first.choice.objective > optimum.choice.objective)
        #expect(first.choice.objective < 1.01 * optimum.choice.objective)
        #expect(train(seed: 1) == first)
        #expect(train(seed: 2) != first)
    }
}
