import ArgumentParser
import Backprop
import Calibration
import ExitHeads
import Foundation
import Safetensors
import Synchronization

/// Going on with an interrupted training.
struct ResumeOption: ParsableArguments {
    @Flag(help: "Go on from training.checkpoint in the output folder, where an interrupted training left one.")
    var resume = false
}

/// What `train` and `run` do to get heads: train with a progress bar and checkpoints, and write what came of it.
struct TrainingStep {
    let experiment: Experiment
    let folder: OutputFolder
    let printing: PrintingOptions

    /// Trains, writes heads and learning curves, and warns of heads that are not at their optimum.
    ///
    /// - Parameters:
    ///   - initial: heads to start from.
    ///   - resumes: whether a checkpoint is gone on from.
    /// - Throws: `ExitCode` after Ctrl-C, with the checkpoint written.
    func run(initial: HeadSet?, resumes: Bool) throws -> [TrainedHead] {
        let checkpoint = try checkpoint(resumes: resumes)
        let bar = ProgressBar("Training heads", isQuiet: printing.quiet || printing.json)
        let interrupt = InterruptSignal()
        let isFirst = experiment.ranks.isFirst
        let fingerprint = Lazy { experiment.trainingFingerprint(initial: initial) }
        let outcome = try experiment.train(
            from: initial, resuming: checkpoint,
            control: TrainingControl(
                progress: { bar.show($0, exitCount: experiment.samples.exitCount) },
                save: { state throws(InputError) in
                    guard isFirst else { return }
                    try TrainingCheckpoint(fingerprint: fingerprint.value, state: state, file: folder.checkpoint)
                        .write()
                },
                isInterrupted: { interrupt.isRaised }))
        bar.end()
        interrupt.end()
        guard case .finished(let trained) = outcome else {
            StandardStreams.writeMessage(
                "beem: interrupted; \(folder.checkpoint) has what was reached. Go on with --resume.\n")
            throw ExitCode(InterruptSignal.exitCode)
        }
        guard isFirst else { return trained }
        try HeadSet(heads: trained.map(\.head)).write(to: folder.heads)
        try LearningCurves(trained).write(to: folder.curves)
        // Last, so that whoever is killed before can go on.
        try? FileManager.default.removeItem(atPath: folder.checkpoint)
        for (exit, head) in trained.enumerated() where !head.choice.converged {
            PrintingOptions.warn(
                "exit \(exit): training stopped after \(head.choice.evaluations) evaluations, before it converged")
        }
        return trained
    }

    private func checkpoint(resumes: Bool) throws(InputError) -> TrainingCheckpoint? {
        let isThere = FileManager.default.fileExists(atPath: folder.checkpoint)
        switch (resumes, isThere) {
        case (true, true):
            let checkpoint = try TrainingCheckpoint(reading: folder.checkpoint)
            printing.note(
                "Going on from \(folder.checkpoint): \(checkpoint.state.finishedCount) of \(checkpoint.state.exitCount) "
                    + "heads are done.")
            return checkpoint
        case (true, false):
            printing.note("There is no \(folder.checkpoint): training from the start.")
        case (false, true):
            printing.note("Training from the start; --resume would have gone on from \(folder.checkpoint).")
        case (false, false): break
        }
        return nil
    }
}

/// A value that is made when it is first asked for.
private final class Lazy<Value: Sendable>: Sendable {
    private let make: @Sendable () -> Value
    private let made = Mutex<Value?>(nil)

    init(_ make: @escaping @Sendable () -> Value) { self.make = make }

    var value: Value {
        made.withLock { made in
            if let made { return made }
            let value = make()
            made = value
            return value
        }
    }
}
