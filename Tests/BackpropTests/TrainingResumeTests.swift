import Foundation
import Safetensors
import Synchronization
import Testing

@testable import Backprop

@Suite("An interrupted training")
struct TrainingResumeTests {
    /// Trains with an interruption after every so many steps, through an encoded state each time.
    private func interrupted(
        _ problem: TrainingProblem, _ settings: TrainingSettings, every steps: Int, threads: Int
    ) throws -> (heads: [TrainedHead], interruptions: Int) {
        let trainer = HeadTrainer(settings: settings, threads: threads, seed: 5)
        var state: TrainingState?
        for interruptions in 0..<2000 {
            let asked = Atomic(0)
            let control = TrainingControl(isInterrupted: { asked.add(1, ordering: .relaxed).newValue > steps })
            let outcome = try trainer.train(
                problem.exits, classCount: problem.classCount, resuming: state, control: control)
            switch outcome {
            case .finished(let heads): return (heads, interruptions)
            case .interrupted(let reached):
                let encoder = PropertyListEncoder()
                encoder.outputFormat = .binary
                state = try PropertyListDecoder().decode(TrainingState.self, from: encoder.encode(reached))
                #expect(state == reached)
            }
        }
        throw CocoaError(.userCancelled)
    }

    @Test("goes on to the same heads and curves, to the last bit, wherever it stood", arguments: TrainingKind.allCases)
    func sameBytes(kind: TrainingKind) throws {
        let problem = try TrainingProblem()
        let undisturbed = try problem.train(kind.settings)
        for (steps, threads) in [(3, 1), (5, 2), (17, 2)] {
            let (heads, interruptions) = try interrupted(problem, kind.settings, every: steps, threads: threads)
            #expect(heads == undisturbed, "every \(steps) steps")
            #expect(interruptions >= 1)
        }
    }

    @Test("is saved at the interruption, and what cannot be saved ends the training")
    func saving() throws {
        let problem = try TrainingProblem()
        let saved = Mutex<TrainingState?>(nil)
        let trainer = HeadTrainer(settings: TrainingKind.adamW.settings, threads: 1)
        let outcome = try trainer.train(
            problem.exits, classCount: problem.classCount,
            control: TrainingControl(
                save: { state in saved.withLock { $0 = state } },
                isInterrupted: { true }))
        guard case .interrupted(let state) = outcome else {
            Issue.record("an interruption")
            return
        }
        #expect(saved.withLock { $0 } == state)

        let full = InputError(.unwritable, file: "f", seen: "a full disk", expected: "room")
        let error = try #require(throws: InputError.self) {
            try trainer.train(
                problem.exits, classCount: problem.classCount,
                control: TrainingControl(save: { _ throws(InputError) in throw full }, isInterrupted: { true }))
        }
        #expect(error == full)
    }

    @Test("tells how far it is: from pass to pass more, and all in the end")
    func progress() throws {
        let problem = try TrainingProblem()
        for kind in [TrainingKind.lbfgs, .hidden, .together] {
            let told = Mutex<[TrainingControl.Progress]>([])
            _ = try HeadTrainer(settings: kind.settings, threads: 2).train(
                problem.exits, classCount: problem.classCount,
                control: TrainingControl(progress: { progress in told.withLock { $0.append(progress) } }))
            let all = told.withLock { $0 }
            #expect(zip(all, all.dropFirst()).allSatisfy { $0.fraction <= $1.fraction })
            #expect(all.last?.fraction == 1)
            #expect(all.last?.finishedCount == 2)
            #expect(all.allSatisfy { $0.latest?.trainLoss.isFinite == true })
        }
    }
}
