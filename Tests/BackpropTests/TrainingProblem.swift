import Foundation
import Statistics

@testable import Backprop

/// Two exits of a small classification problem: the second sees all of the features, the first only some.
struct TrainingProblem {
    let exits: [ExitRows]
    let classCount: Int

    init() throws {
        let data = try Golden.read().cases[1]
        classCount = data.classes
        let half = data.rows / 2
        exits = [data.width - 2, data.width].map { width in
            func rows(_ range: Range<Int>) -> LabelledRows {
                LabelledRows(
                    features: DenseRows(
                        values: range.flatMap { data.features[($0 * data.width)..<($0 * data.width + width)] },
                        width: width),
                    labels: Array(data.labels[range]))
            }
            return ExitRows(train: rows(0..<half), tune: rows(half..<data.rows))
        }
    }

    /// The heads that training leads to.
    func train(_ settings: TrainingSettings, threads: Int = 2, seed: UInt64 = 5) throws -> [TrainedHead] {
        guard
            case .finished(let heads) = try HeadTrainer(settings: settings, threads: threads, seed: seed)
                .train(exits, classCount: classCount)
        else { throw CocoaError(.userCancelled) }
        return heads
    }
}

/// One of each kind of training.
enum TrainingKind: String, CaseIterable, Sendable {
    case lbfgs, adamW, sgd, hidden, hiddenLayerNorm, distillation, joint, together

    var settings: TrainingSettings {
        let steps = MinibatchSettings(learningRate: 0.02, warmup: 0.1, maximumNorm: 1, epochs: 4, batchSize: 16)
        var impatient = steps
        impatient.patience = 1
        switch self {
        case .lbfgs: return TrainingSettings(l2: [1e-3, 1e-1])
        case .adamW: return TrainingSettings(optimizer: .minibatch(steps), l2: [0, 1e-1])
        case .sgd:
            var momentum = steps
            momentum.method = .sgd(isNesterov: true)
            momentum.schedule = .linear
            return TrainingSettings(optimizer: .minibatch(momentum), l2: [1e-2])
        case .hidden:
            return TrainingSettings(
                architecture: .hidden(HiddenLayerSettings(width: 7, activation: .tanh, dropout: 0.2)),
                optimizer: .minibatch(impatient), l2: [0, 1e-2])
        case .hiddenLayerNorm:
            return TrainingSettings(
                architecture: .hidden(HiddenLayerSettings(width: 5, activation: .gelu, hasLayerNorm: true)),
                loss: TrainingLoss(classWeights: .balanced, smoothing: 0.1), optimizer: .minibatch(steps), l2: [1e-2])
        case .distillation:
            return TrainingSettings(loss: TrainingLoss(teacher: .init(isJoint: false, temperature: 2)), l2: [1e-3])
        case .joint:
            return TrainingSettings(
                loss: TrainingLoss(teacher: .init(isJoint: true)), optimizer: .minibatch(steps), l2: [1e-3])
        case .together:
            return TrainingSettings(
                architecture: .hidden(HiddenLayerSettings(width: 4, activation: .relu)),
                loss: TrainingLoss(teacher: .init(isJoint: true, isTrainedTogether: true)),
                optimizer: .minibatch(impatient), l2: [1e-3, 1e-2])
        }
    }
}
