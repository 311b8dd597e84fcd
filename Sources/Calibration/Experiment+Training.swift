import Backprop
import ExitHeads
import FeatureCache
import Foundation
import LinearAlgebra
import Safetensors

extension Experiment {
    /// Trains the head of every exit.
    ///
    /// - Parameters:
    ///   - initial: heads to start from; zero, or small random numbers for hidden layers, otherwise.
    ///   - checkpoint: where an interrupted training stood.
    ///   - control: who follows.
    /// - Throws: `InputError` when `initial` or the checkpoint does not fit, when training diverges, or what
    ///   `control.save` throws.
    public func train(
        from initial: HeadSet? = nil, resuming checkpoint: TrainingCheckpoint? = nil, control: TrainingControl
    ) throws(InputError) -> TrainingOutcome {
        let cache = try features()
        if let initial { try check(initial, against: cache) }
        if case .given(let weights) = recipe.training.loss.classWeights, weights.count != cache.classes.count {
            throw InputError(
                .mismatch, file: recipe.file, item: "training.classWeights", seen: "\(weights.count) weights",
                expected: "one for each of the \(cache.classes.count) classes in \(cache.path)")
        }
        try checkpoint?.check(against: trainingFingerprint(initial: initial))
        let exits = (0..<cache.exitCount).map { exit in
            ExitRows(
                train: LabelledRows(cache: cache, exit: exit, rows: splits[.train]),
                tune: LabelledRows(cache: cache, exit: exit, rows: splits[.tune]))
        }
        let outcome = try HeadTrainer(
            settings: recipe.training, threads: threads, seed: recipe.seed, tolerance: recipe.rule.tolerance ?? 0,
            ranks: ranks
        ).train(
            exits, classCount: cache.classes.count, initial: initial?.heads, resuming: checkpoint?.state,
            control: control)
        guard case .finished(let trained) = outcome else { return outcome }
        for (exit, head) in trained.enumerated() where !head.head.isFinite || !head.choice.tuneLoss.isFinite {
            throw InputError(
                .notFinite, file: recipe.file, item: "training", seen: "training of exit \(exit) that diverged",
                expected: "finite parameters", advice: "Choose a smaller learningRate.")
        }
        return outcome
    }

    /// Trains the head of every exit; see the version that can be followed and interrupted.
    ///
    /// - Returns: [exits]
    public func train(from initial: HeadSet? = nil) throws(InputError) -> [TrainedHead] {
        guard case .finished(let heads) = try train(from: initial, control: TrainingControl()) else {
            preconditionFailure("nobody interrupts")
        }
        return heads
    }

    /// What tells one training from another: two of the same fingerprint lead to the same heads.
    ///
    /// - Complexity: O(bytes of the features), for their hash.
    public func trainingFingerprint(initial: HeadSet? = nil) -> String {
        var parts = [
            "beem \(Calibration.version)", dataHash, "\(recipe.seed)", "\(recipe.training)",
            CertifyLog.hash(of: splits.train, in: samples), CertifyLog.hash(of: splits.tune, in: samples),
            "\(recipe.rule.tolerance ?? 0)",
        ]
        for head in initial?.heads ?? [] { parts.append("\(head)") }
        return sha256(of: Data(parts.joined(separator: "\n").utf8))
    }

    /// The training objective of a saved linear head of an exit on the train split, in nats: what training minimises.
    ///
    /// - Complexity: O(rows * width * classes).
    /// - Throws: `InputError` where there are no features.
    public func objective(of head: LinearHead, exit: Int, l2: Double) throws(InputError) -> Double {
        let cache = try features()
        return HeadTrainer(settings: recipe.training, threads: threads, seed: recipe.seed).objective(
            of: head, on: LabelledRows(cache: cache, exit: exit, rows: splits[.train]), l2: l2)
    }

    private func check(_ initial: HeadSet, against cache: FeatureCache) throws(InputError) {
        try initial.check(against: cache)
        for (exit, head) in initial.heads.enumerated() {
            let (seen, wanted) = (Self.architecture(of: head), recipe.training.architecture)
            guard seen.described == wanted.described else {
                throw InputError(
                    .mismatch, file: initial.file, item: "exit.\(exit)", seen: seen.described,
                    expected: "\(wanted.described), as \(recipe.file) says under heads")
            }
        }
    }

    private static func architecture(of head: ExitHead) -> TrainingSettings.Architecture {
        switch head {
        case .linear: .linear
        case .hidden(let head):
            .hidden(
                HiddenLayerSettings(
                    width: head.hiddenCount, activation: head.activation, hasLayerNorm: head.layerNorm != nil))
        }
    }
}

extension TrainingSettings.Architecture {
    /// What a saved head shows of it, in words: all but dropout.
    fileprivate var described: String {
        switch self {
        case .linear: "a linear head"
        case .hidden(let layer):
            "a head with \(layer.width) hidden units, \(layer.activation.rawValue)"
                + (layer.hasLayerNorm ? ", on normalised features" : "")
        }
    }
}
