import Evaluation
import RiskControl
import Statistics
import Testing

@Suite("Remembered decisions of the exact trinomial test")
struct RejectionMemoryTests {
    /// A question to the memory.
    private struct Question: Sendable {
        var counts: PairedCounts
        var test: ExactTrinomialTest
        var level: Double

        var answer: Bool { test.isRejected(counts, at: level) }

        func answer(of memory: RejectionMemory) -> Bool { memory.isRejected(counts, by: test, at: level) }
    }

    /// Questions that share lines: few sizes and discordances, several tests and levels. One level lies below one of
    /// the nuisance errors, so that its test rejects nothing.
    private func questions(_ count: Int, seed: UInt64) -> [Question] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in
            let discordant = Int.random(in: 0...12, using: &generator)
            let harmful = Int.random(in: 0...discordant, using: &generator)
            return Question(
                counts: PairedCounts(
                    samples: [20, 35].randomElement(using: &generator)!, harmfulFlips: harmful,
                    helpfulFlips: discordant - harmful),
                test: ExactTrinomialTest(
                    allowedGap: [0, 0.05, 0.2].randomElement(using: &generator)!,
                    nuisanceError: [1e-6, 0.02].randomElement(using: &generator)!),
                level: [0.01, 0.05, 0.3].randomElement(using: &generator)!)
        }
    }

    @Test("are those of the test, whatever was asked before: 4000 random questions to one memory")
    func sameAnswers() {
        let memory = RejectionMemory()
        var rejections = 0
        for question in questions(4000, seed: 50) {
            #expect(question.answer(of: memory) == question.answer)
            rejections += question.answer ? 1 : 0
        }
        #expect(rejections > 500 && rejections < 3500, "both answers come up: \(rejections)")
    }

    @Test("settle only their own line, size, gap and level")
    func separate() {
        let memory = RejectionMemory()
        let strict = ExactTrinomialTest(allowedGap: 0)
        let clear = PairedCounts(samples: 40, harmfulFlips: 1, helpfulFlips: 11)
        #expect(memory.isRejected(clear, by: strict, at: 0.05))
        // Each differs from it in one respect, and the test refuses it.
        let level = 1e-4
        #expect(!memory.isRejected(clear, by: strict, at: level))
        let fewer = PairedCounts(samples: 40, harmfulFlips: 1, helpfulFlips: 2)
        #expect(!memory.isRejected(fewer, by: strict, at: 0.05))
        let refused = PairedCounts(samples: 40, harmfulFlips: 6, helpfulFlips: 6)
        #expect(!memory.isRejected(refused, by: strict, at: 0.05))
        // And where those were refused, a wider gap or level is asked anew.
        #expect(memory.isRejected(refused, by: ExactTrinomialTest(allowedGap: 0.3), at: 0.05))
        #expect(memory.isRejected(refused, by: strict, at: 0.7))
    }

    @Test("are the same when many tasks ask at once")
    func concurrent() async {
        let questions = questions(600, seed: 51)
        let answers = questions.map(\.answer)
        let memory = RejectionMemory()
        let differing = await withTaskGroup(of: Int.self) { tasks in
            for task in 0..<8 {
                tasks.addTask {
                    var generator = SplitMix64(seed: UInt64(60 + task))
                    return questions.indices.shuffled(using: &generator).count {
                        questions[$0].answer(of: memory) != answers[$0]
                    }
                }
            }
            return await tasks.reduce(0, +)
        }
        #expect(differing == 0)
    }
}
