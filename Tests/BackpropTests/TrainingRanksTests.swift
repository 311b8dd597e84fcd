import Foundation
import Safetensors
import Statistics
import Synchronization
import TestSupport
import Testing

@testable import Backprop

@Suite("Training by several ranks")
struct TrainingRanksTests {
    /// What each rank comes to.
    private func heads(
        _ problem: TrainingProblem, _ settings: TrainingSettings, ranks: Int, threads: Int = 1
    ) -> [[TrainedHead]?] {
        ThreadRanks.run(ranks) { own in
            let trainer = HeadTrainer(settings: settings, threads: threads, seed: 5, ranks: own)
            guard case .finished(let heads)? = try? trainer.train(problem.exits, classCount: problem.classCount) else {
                return nil
            }
            return heads
        }
    }

    @Test("leads to the heads and curves of one process, to the last bit", arguments: TrainingKind.allCases)
    func sameBytes(kind: TrainingKind) throws {
        let problem = try TrainingProblem()
        let alone = try problem.train(kind.settings)
        for (ranks, threads) in [(2, 1), (3, 2)] {
            #expect(heads(problem, kind.settings, ranks: ranks, threads: threads).allSatisfy { $0 == alone })
        }
    }

    @Test(
        "does so where a pass has many chunks, kept in memory or read anew, and where a rough preconditioner comes first",
        arguments: zip([24, 24, HeadPreconditioner.roughBlockWidth + 22], [0, 48 << 20, 0]))
    func manyChunks(width: Int, memoryBudget: Int) {
        let (classes, rows) = (3, 720_000 / width)
        var generator = SplitMix64(seed: 3)
        let values = (0..<(rows * width)).map { _ in Float.random(in: -2...2, using: &generator) }
        let labels = (0..<rows).map { row in
            Int32(values[row * width] + Float.random(in: -1...1, using: &generator) > 0 ? row % 2 + 1 : 0)
        }
        let data = LabelledRows(features: DenseRows(values: values, width: width), labels: labels)
        let results = [1, 2, 4, 7].map { count in
            ThreadRanks.run(count) { own -> [Data] in
                let trainer = HeadTrainer(
                    settings: TrainingSettings(l2: [1e-4, 1e-2]), threads: 2, memoryBudget: memoryBudget, ranks: own)
                let head = trainer.train(data, tune: data, classCount: classes)
                let traffic = own.traffic
                // Gradients and a sample of rows are exchanged, not the rows.
                #expect(traffic.bytes < 8 * 64 * 4 * (width + 1) * head.candidates.map(\.evaluations).reduce(200, +))
                guard let bytes = try? PropertyListEncoder().encode([SavedHead(head.head)]) else { return [] }
                return [bytes]
            }
        }
        #expect(results[0][0].count == 1)
        for result in results { #expect(result.allSatisfy { $0 == results[0][0] }) }
    }

    @Test("goes on with another number of ranks where it was interrupted", arguments: TrainingKind.allCases)
    func resuming(kind: TrainingKind) throws {
        let problem = try TrainingProblem()
        let alone = try problem.train(kind.settings)
        var state: TrainingState?
        for ranks in [2, 3, 1, 2] {
            let before = state
            let saved = Mutex<TrainingState?>(nil)
            _ = ThreadRanks.run(ranks) { own in
                let asked = Atomic(0)
                let trainer = HeadTrainer(settings: kind.settings, threads: 1, seed: 5, ranks: own)
                // One rank alone is asked to end.
                let control = TrainingControl(
                    save: { state in if own.isFirst { saved.withLock { $0 = state } } },
                    isInterrupted: {
                        own.rank == own.rankCount - 1 && asked.add(1, ordering: .relaxed).newValue > 2
                    })
                let outcome = try? trainer.train(
                    problem.exits, classCount: problem.classCount, resuming: before, control: control)
                if case .interrupted? = outcome { return true }
                return false
            }
            state = saved.withLock { $0 } ?? state
        }
        let last = state
        #expect(last != nil)
        let ends = ThreadRanks.run(3) { own -> [TrainedHead]? in
            let trainer = HeadTrainer(settings: kind.settings, threads: 1, seed: 5, ranks: own)
            let outcome = try? trainer.train(problem.exits, classCount: problem.classCount, resuming: last)
            guard case .finished(let heads)? = outcome else { return nil }
            return heads
        }
        #expect(ends.allSatisfy { $0 == alone })
    }

    @Test("ends on all ranks where the first cannot save")
    func failing() throws {
        let problem = try TrainingProblem()
        let full = InputError(.unwritable, file: "f", seen: "a full disk", expected: "room")
        let outcomes = ThreadRanks.run(2) { own -> String in
            let trainer = HeadTrainer(settings: TrainingKind.lbfgs.settings, threads: 1, ranks: own)
            let control = TrainingControl(
                save: { _ throws(InputError) in if own.isFirst { throw full } }, isInterrupted: { own.isFirst })
            do throws(InputError) {
                let outcome = try trainer.train(problem.exits, classCount: problem.classCount, control: control)
                if case .interrupted = outcome { return "interrupted" }
                return "finished"
            } catch { return "\(error == full)" }
        }
        #expect(outcomes == ["true", "interrupted"])
    }
}
