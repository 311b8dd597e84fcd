import RiskControl
import Statistics
import Testing

@Suite("The fallback procedure with one start: the fixed sequence")
struct FixedSequenceTests {
    private let pValues = [0.01, 0.05, 0.2, 0.001]

    private func walk(_ candidates: [Int], level: Double = 0.05) -> FallbackProcedure.Outcome {
        FallbackProcedure(level: level).walk(along: CandidatePlan(candidates: candidates)) { pValues[$0] <= $1 }
    }

    @Test("stops at the first failure, and asks about no candidate beyond it")
    func lazy() {
        var asked: [Int] = []
        let plan = CandidatePlan(candidates: [0, 1, 2, 3])
        let outcome = FallbackProcedure(level: 0.05).walk(along: plan) { candidate, level in
            asked.append(candidate)
            #expect(level == 0.05)
            return pValues[candidate] <= level
        }
        #expect(asked == [0, 1, 2])
        #expect(outcome.tested == [0, 1, 2] && outcome.passed == [0, 1])
        #expect(outcome.last == 1 && outcome.lastLevel == 0.05)
    }

    @Test("follows the order it is given, not the index")
    func order() {
        #expect(walk([3, 0, 2, 1]).passed == [3, 0])
    }

    @Test("certifies nothing when the first candidate fails or there is none")
    func nothing() {
        let failed = walk([2, 3])
        #expect(failed.last == nil && failed.passed.isEmpty && failed.tested == [2] && failed.lastLevel == 0)
        let empty = walk([])
        #expect(empty.last == nil && empty.tested.isEmpty && empty.lastLevel == 0)
    }

    @Test("hands the test the whole level, to the last bit: a p-value equal to it passes, the next larger does not")
    func boundary() {
        let procedure = FallbackProcedure(level: 0.2)
        let plan = CandidatePlan(candidates: [0])
        #expect(procedure.walk(along: plan) { 0.2 <= $1 }.last == 0)
        #expect(procedure.walk(along: plan) { (0.2).nextUp <= $1 }.last == nil)
    }

    @Test("an error of the test comes out, it does not end the walk quietly")
    func errors() {
        struct Broken: Error {}
        #expect(throws: Broken.self) {
            try FallbackProcedure(level: 0.05).walk(along: CandidatePlan(candidates: [0])) { _, _ in throw Broken() }
        }
    }

    @Test("passes the longest prefix of p-values at most the level: 2000 random walks")
    func prefix() {
        var generator = SplitMix64(seed: 20)
        for _ in 0..<2000 {
            let pValues = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                Double.random(in: 0...0.12, using: &generator)
            }
            let order = pValues.indices.shuffled(using: &generator)
            let outcome = FallbackProcedure(level: 0.1).walk(along: CandidatePlan(candidates: order)) {
                pValues[$0] <= $1
            }
            let expected = Array(order.prefix { pValues[$0] <= 0.1 })
            #expect(outcome.passed == expected)
            #expect(outcome.tested == Array(order.prefix(expected.count + 1)))
        }
    }
}

@Suite("The fallback procedure with several starts")
struct FallbackProcedureTests {
    /// A walk, with the levels that were asked for.
    private func walk(
        _ plan: CandidatePlan, level: Double, pValues: [Double]
    ) -> (outcome: FallbackProcedure.Outcome, levels: [Double]) {
        var levels: [Double] = []
        let outcome = FallbackProcedure(level: level).walk(along: plan) { candidate, level in
            levels.append(level)
            return pValues[candidate] <= level
        }
        return (outcome, levels)
    }

    @Test("a part of the level passes through rejections to the next start and adds up there")
    func handedOn() {
        // Half of it from the first on, all of it from the third on.
        let plan = CandidatePlan(candidates: [0, 1, 2, 3], starts: [0, 2])
        let (outcome, levels) = walk(plan, level: 0.0625, pValues: [0, 0.03125, 0.0625, 0.07])
        #expect(levels == [0.03125, 0.03125, 0.0625, 0.0625])
        #expect(outcome.tested == [0, 1, 2, 3] && outcome.passed == [0, 1, 2])
        #expect(outcome.lastLevel == 0.0625)
    }

    @Test("a failure loses the parts that came that far, and the walk goes on at the next start with its own")
    func survives() {
        let plan = CandidatePlan(candidates: [0, 1, 2, 3, 4, 5], starts: [0, 1, 4, 5])
        let (outcome, levels) = walk(plan, level: 0.5, pValues: [0, 0.75, 0, 0, 0, 0])
        // 2 and 3 have nothing to be tested at, although their p-values are 0.
        #expect(outcome.tested == [0, 1, 4, 5])
        #expect(levels == [0.125, 0.25, 0.125, 0.25])
        #expect(outcome.passed == [0, 4, 5] && outcome.last == 5 && outcome.lastLevel == 0.25)
    }

    @Test("the level reported is that of the last candidate that passed, not of the last one tested")
    func lastLevel() {
        let plan = CandidatePlan(candidates: [0, 1], starts: [0, 1])
        let (outcome, levels) = walk(plan, level: 0.5, pValues: [0.2, 0.6])
        #expect(levels == [0.25, 0.5] && outcome.passed == [0] && outcome.lastLevel == 0.25)
    }

    @Test("nothing before the first start is tested, and nothing at all without starts or candidates")
    func beforeStarts() {
        let late = walk(CandidatePlan(candidates: [3, 1, 0, 2], starts: [2]), level: 0.5, pValues: [0, 0, 0, 0])
        #expect(late.outcome.tested == [0, 2] && late.levels == [0.5, 0.5])
        let never = walk(CandidatePlan(candidates: [0, 1], starts: []), level: 0.5, pValues: [0, 0])
        #expect(never.outcome.tested.isEmpty)
        let empty = walk(CandidatePlan(candidates: [], starts: [0]), level: 0.5, pValues: [])
        #expect(empty.outcome.tested.isEmpty && empty.outcome.last == nil)
    }

    @Test("rejects what the graphical procedure on a line rejects: 4000 random plans and p-values")
    func graphical() {
        var generator = SplitMix64(seed: 21)
        var (several, survived) = (0, 0)
        for _ in 0..<4000 {
            let count = Int.random(in: 1...9, using: &generator)
            let level = Double.random(in: 0.01...0.3, using: &generator)
            // Around the levels that come up, parts of the whole, some far below.
            let pValues = (0..<count).map { _ -> Double in
                let factor: Double = Bool.random(using: &generator) ? 1.3 : 0.1
                return Double.random(in: 0.001...1, using: &generator) * level * factor
            }
            let order: [Int] = (0..<count).shuffled(using: &generator)
            let starts = (0..<count).filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
            let plan = CandidatePlan(candidates: order, starts: starts.isEmpty ? [0] : starts)
            let outcome = walk(plan, level: level, pValues: pValues).outcome
            let reference = GraphicalProcedure.line(count: count, starts: plan.starts, level: level)
            let rejected = reference.rejected(pValues: order.map { pValues[$0] })
            #expect(outcome.passed == rejected.sorted().map { order[$0] })
            #expect(outcome.tested == order.filter(outcome.tested.contains))
            if plan.starts.count > 1, !outcome.passed.isEmpty { several += 1 }
            if outcome.passed != Array(order.prefix(outcome.passed.count)) { survived += 1 }
        }
        #expect(several > 500 && survived > 200, "the cases that matter come up: \(several), \(survived)")
    }

    @Test("no candidate is tested above the level, and all parts together are the level, to the last bit")
    func neverAbove() {
        var generator = SplitMix64(seed: 22)
        for _ in 0..<3000 {
            let count = Int.random(in: 1...12, using: &generator)
            let level = Double.random(in: 1e-6...0.999, using: &generator)
            let pValues = (0..<count).map { _ -> Double in Int.random(in: 0..<6, using: &generator) == 0 ? 1 : 0 }
            let zeros = Array(repeating: 0.0, count: count)
            let all = CandidatePlan(candidates: Array(0..<count), starts: Array(0..<count))
            let levels = walk(all, level: level, pValues: pValues).levels
            #expect(levels.allSatisfy { $0 > 0 && $0 <= level })
            #expect(walk(all, level: level, pValues: zeros).levels.last == level)
        }
    }

    @Test("a plan keeps its starts when its candidates get other names")
    func naming() {
        let plan = CandidatePlan(candidates: [2, 0, 1], starts: [0, 2])
        #expect(plan.naming { 10 * $0 } == CandidatePlan(candidates: [20, 0, 10], starts: [0, 2]))
        let empty = CandidatePlan(candidates: [])
        #expect(empty.naming { $0 } == empty && empty.starts.isEmpty)
    }
}
