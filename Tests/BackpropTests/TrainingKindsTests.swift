import ExitHeads
import Foundation
import Statistics
import Testing

@testable import Backprop

@Suite("Kinds of training")
struct TrainingKindsTests {
    @Test("give the same heads to the last bit whatever the number of threads", arguments: TrainingKind.allCases)
    func threadsDoNotMatter(kind: TrainingKind) throws {
        let problem = try TrainingProblem()
        let one = try problem.train(kind.settings, threads: 1)
        #expect(try problem.train(kind.settings, threads: 2) == one)
        #expect(try problem.train(kind.settings, threads: 5) == one)
    }

    @Test("depend on the seed where they are random, and only there", arguments: TrainingKind.allCases)
    func seed(kind: TrainingKind) throws {
        let problem = try TrainingProblem()
        let isRandom = if case .minibatch = kind.settings.optimizer { true } else { false }
        let same = try problem.train(kind.settings, seed: 1) == problem.train(kind.settings, seed: 2)
        #expect(same != isRandom)
    }

    /// Points in the plane whose class is whether their signs agree, which no line tells.
    private func signs(_ count: Int, seed: UInt64) -> LabelledRows {
        var generator = SplitMix64(seed: seed)
        var values: [Float] = []
        for _ in 0..<(2 * count) { values.append(.random(in: -1...1, using: &generator)) }
        let labels = (0..<count).map { Int32(values[2 * $0] * values[2 * $0 + 1] > 0 ? 1 : 0) }
        return LabelledRows(features: DenseRows(values: values, width: 2), labels: labels)
    }

    @Test("with a hidden layer learn what no linear head can", arguments: Activation.allCases)
    func hiddenLayerHelps(activation: Activation) {
        let (train, tune) = (signs(1000, seed: 1), signs(1000, seed: 2))
        let linear = HeadTrainer(settings: TrainingSettings(l2: [1e-3])).train(train, tune: tune, classCount: 2)
        #expect(linear.choice.tuneError > 0.3)
        let settings = TrainingSettings(
            architecture: .hidden(HiddenLayerSettings(width: 32, activation: activation)),
            optimizer: .minibatch(MinibatchSettings(learningRate: 0.02, epochs: 60, batchSize: 50)), l2: [0])
        let hidden = HeadTrainer(settings: settings).train(train, tune: tune, classCount: 2)
        #expect(hidden.choice.tuneError < 0.05)
    }

    @Test("that stop early keep the head of the epoch with the lowest loss on tune, and stop when patience is out")
    func earlyStopping() throws {
        let problem = try TrainingProblem()
        let settings = TrainingSettings(
            architecture: .hidden(HiddenLayerSettings(width: 32)),
            optimizer: .minibatch(
                MinibatchSettings(learningRate: 0.05, schedule: .constant, epochs: 200, batchSize: 16, patience: 3)),
            l2: [0])
        for head in try problem.train(settings) {
            let losses = head.curve.map { $0.tuneLoss! }
            let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
            #expect(head.choice.tuneLoss == losses[best])
            #expect(losses.count == best + 1 + 3)
            #expect(head.choice.evaluations == losses.count)
        }
    }

    @Test("by distillation make of the same features the teacher's head again")
    func distillation() throws {
        let problem = try TrainingProblem()
        let exits = [problem.exits[1], problem.exits[1]]
        let settings = TrainingSettings(
            loss: TrainingLoss(teacher: .init(isJoint: false, temperature: 3)),
            optimizer: .lbfgs(LBFGSSettings(tolerance: 1e-14)), l2: [1e-2])
        var weak = settings
        weak.l2 = [1e-9]
        // The teacher is penalised as usual; a pupil without penalty has nothing to lose by saying the same.
        guard
            case .finished(let taught) = try HeadTrainer(settings: weak)
                .train(exits, classCount: problem.classCount, control: TrainingControl())
        else {
            Issue.record("no end")
            return
        }
        let rows = problem.exits[1].train
        let logits = taught.map { ExitForward(head: $0.head).logits(of: rows.features) }
        let loss = DistillationLoss(temperature: 3).evaluate(
            logits: logits[0], targets: HeadTargets(teacherLogits: logits[1]), rows: 0..<rows.rowCount,
            classes: problem.classCount, gradient: nil)
        #expect(loss.mean < 1e-5)
        #expect(taught[0].choice.objective < 1e-5)
    }

    @Test("with the joint objective end where its gradient is zero")
    func joint() throws {
        let problem = try TrainingProblem()
        let l2 = 1e-2
        let settings = TrainingSettings(
            loss: TrainingLoss(teacher: .init(isJoint: true, temperature: 2)),
            optimizer: .lbfgs(LBFGSSettings(tolerance: 1e-15)), l2: [l2])
        let heads = try problem.train(settings)
        let rows = problem.exits[0].train
        let teacher = ExitForward(head: heads[1].head).logits(of: problem.exits[1].train.features)
        let scaling = Standardization(of: rows.features, threads: 1)
        let parameters = LinearParameters(try heads[0].head.linear, standardization: scaling)
        var block = [Float](repeating: 0, count: rows.rowCount * rows.features.width)
        rows.features.copy(0..<rows.rowCount, into: &block)
        scaling.apply(to: &block, rows: rows.rowCount)

        let (width, classes) = (rows.features.width, problem.classCount)
        var gradient = parameters.values.indices.map { index in
            index % (width + 1) == width ? 0 : l2 * parameters.values[index]
        }
        var penaltyOnly = gradient
        for row in 0..<rows.rowCount {
            let inputs = (0..<width).map { Double(block[row * width + $0]) } + [1]
            let logits = (0..<classes).map { label in
                dot(Array(parameters.values[(label * (width + 1))..<((label + 1) * (width + 1))]), inputs)
            }
            let own = naiveJointExit(
                logits: logits, label: Int(rows.labels[row]),
                teacher: (0..<classes).map { Double(teacher[row * classes + $0]) },
                classWeights: Array(repeating: 1, count: classes), smoothing: 0, temperature: 2)
            for index in gradient.indices {
                let slope =
                    own.gradient[index / (width + 1)] * inputs[index % (width + 1)] / Double(rows.rowCount)
                gradient[index] += slope
                penaltyOnly[index] += slope / 2
            }
        }
        let size = dot(parameters.values, parameters.values).squareRoot() * l2
        #expect(dot(gradient, gradient).squareRoot() < 1e-4 * size)
        // Half of the loss would not be at rest there.
        #expect(dot(penaltyOnly, penaltyOnly).squareRoot() > 1e-2 * size)
    }

    @Test("with a teacher that learns along end near those with one that learnt before")
    func together() throws {
        let problem = try TrainingProblem()
        func objective(together: Bool) throws -> [Double] {
            let settings = TrainingSettings(
                loss: TrainingLoss(teacher: .init(isJoint: true, isTrainedTogether: together)),
                optimizer: .minibatch(MinibatchSettings(learningRate: 0.02, epochs: 60, batchSize: 16)), l2: [1e-2])
            return try problem.train(settings).map(\.choice.objective)
        }
        let (first, along) = (try objective(together: false), try objective(together: true))
        // The final head learns from labels alone either way.
        #expect(first[1] == along[1])
        #expect(first[0] != along[0])
        #expect(abs(first[0] - along[0]) < 0.02 * first[0])
    }

    @Test("weigh balanced classes by rows over classes times rows of the class")
    func balancedWeights() throws {
        let loss = TrainingLoss(classWeights: .balanced).headLoss(
            labels: [0, 0, 0, 1, 2, 2], classCount: 3, isFinal: true)
        let own = try #require(loss as? CrossEntropyLoss)
        let expected: [Float] = [6.0 / 9, 2, 1]
        #expect(own.classWeights == expected)
    }

    @Test("by squared error end at the solution of the normal equations")
    func squaredError() throws {
        let (rows, width, l2) = (60, 3, 0.3)
        var generator = SplitMix64(seed: 9)
        let values = (0..<(rows * width)).map { _ in Float.random(in: -2...5, using: &generator) }
        let targets = (0..<rows).map { row in
            2 * values[row * width] - values[row * width + 1] + Float.random(in: -1...1, using: &generator) + 10
        }
        let data = LabelledRows(
            features: DenseRows(values: values, width: width), targets: HeadTargets(values: targets))
        let trainer = HeadTrainer(
            settings: TrainingSettings(
                loss: TrainingLoss(kind: .squaredError), optimizer: .lbfgs(LBFGSSettings(tolerance: 1e-14)), l2: [l2]),
            tolerance: 1)
        let trained = trainer.train(data, tune: data, classCount: 1)

        // 2/N Xᵀ(Xw + b - y) + l2 w = 0 on centred rows and targets; the head is on rows as they come.
        let scaling = Standardization(of: data.features, threads: 1)
        let found = LinearParameters(try trained.head.linear, standardization: scaling).values
        let inputs = (0..<rows).map { row in
            (0..<width).map { column in
                Double((values[row * width + column] - scaling.mean[column]) * scaling.inverseDeviation[column])
            } + [1]
        }
        var rest = [Double](repeating: 0, count: width + 1)
        var wrong = 0
        for row in 0..<rows {
            let error = dot(inputs[row], found) - Double(targets[row])
            if abs(error) > 1 { wrong += 1 }
            for column in rest.indices { rest[column] += 2 / Double(rows) * error * inputs[row][column] }
        }
        for column in 0..<width { rest[column] += l2 * found[column] }
        #expect(rest.allSatisfy { abs($0) < 1e-4 })
        #expect(trained.choice.tuneError == Double(wrong) / Double(rows))
        #expect(trained.choice.converged)
    }

    @Test("forward through a hidden head gives what the plain head gives")
    func forward() throws {
        let problem = try TrainingProblem()
        for kind in [TrainingKind.hidden, .hiddenLayerNorm] {
            let heads = try problem.train(kind.settings)
            for (exit, trained) in heads.enumerated() {
                let rows = problem.exits[exit].tune
                let predictions = ExitForward(head: trained.head).predictions(for: rows.features)
                let logits = ExitForward(head: trained.head).logits(of: rows.features)
                for row in 0..<rows.rowCount {
                    var features = [Float](repeating: 0, count: rows.features.width)
                    rows.features.copy(row..<(row + 1), into: &features)
                    let plain = trained.head.logits(features)
                    for (index, value) in plain.enumerated() {
                        let difference = abs(value - logits[row * plain.count + index])
                        #expect(difference < 1e-5 * max(1, abs(value)))
                    }
                    let largest = plain.max()!
                    #expect(largest - plain[Int(predictions.labels[row])] < 1e-5)
                }
            }
        }
    }
}
