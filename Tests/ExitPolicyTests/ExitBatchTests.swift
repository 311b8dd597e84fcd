import ExitRules
import Statistics
import Testing

@testable import ExitPolicy

@Suite("A batch on its way through the exits")
struct ExitBatchTests {
    /// A policy for two classes or more with scores on a coarse grid, so that many of them tie with a threshold.
    private func randomPolicy(exits: Int, using generator: inout SplitMix64) -> Policy {
        func quarters(_ range: ClosedRange<Int>) -> Double { Double(Int.random(in: range, using: &generator)) / 4 }
        let kinds = Policy.RuleDescription.Kind.allCases
        let kind = kinds.randomElement(using: &generator)!
        var policy = examplePolicy()
        policy.rule = .init(
            kind: kind, weights: kind == .beem ? "given" : nil, memory: kind == .beem ? quarters(0...4) : nil,
            confidence: .maxProbability,
            restart: kind == .beem ? BEEMRule.Restart.allCases.randomElement(using: &generator) : nil)
        policy.exits = (0..<exits).map { exit in
            let threshold = quarters(0...6)
            // At the threshold, and one step of a Double to either side of it.
            let nudged = [threshold, threshold.nextUp, threshold.nextDown].randomElement(using: &generator)!
            let isNever = exit == exits - 1 || Int.random(in: 0..<5, using: &generator) == 0
            return Policy.Exit(
                index: exit, name: "exit \(exit)", cost: Double(exit + 1), weight: quarters(0...4),
                threshold: isNever ? nil : nudged)
        }
        return policy
    }

    @Test("decides as one session for each sample, and as the table that thresholds are searched on: 100,000 cases")
    func agreement() {
        var generator = SplitMix64(seed: 8)
        var cases = 0
        var taken = Set<Int>()
        while cases < 100_000 {
            let exits = [2, 3, 5, 12, 48].randomElement(using: &generator)!
            let classes = Int32.random(in: 1...3, using: &generator)
            let policy = randomPolicy(exits: exits, using: &generator)
            let count = 200
            let labels = (0..<exits).map { _ in
                (0..<count).map { _ in Int32.random(in: 0..<classes, using: &generator) }
            }
            let confidences = (0..<exits).map { _ in
                (0..<count).map { _ in Float(Int.random(in: 0...4, using: &generator)) / 4 }
            }
            let outputs = ExitOutputs(
                truth: Array(repeating: 0, count: count), labels: labels, confidences: confidences)
            let table = ScoreTable(outputs: outputs, rule: policy.exitRule, costs: policy.costs)
            let expected = table.exitsTaken(policy.thresholds)

            var batch = ExitBatch(policy, count: count)
            var sessions = (0..<count).map { _ in ExitSession(policy) }
            for exit in 0..<exits where !batch.isFinished {
                let active = batch.active
                let predictions = active.map { outputs.prediction(exit: exit, sample: $0) }
                let goingOn = batch.observe(predictions)
                #expect(goingOn.map { active[$0] } == batch.active)
                for (place, sample) in active.enumerated() {
                    let step = sessions[sample].observe(predictions[place])
                    let decision = batch.decisions[sample]
                    #expect(step == (decision.map { .stop($0) } ?? .goOn))
                }
            }
            #expect(batch.isFinished)
            for sample in 0..<count {
                let decision = batch.decisions[sample]!
                #expect(decision.exit == expected[sample])
                #expect(decision.label == labels[decision.exit][sample])
                if decision.exit < exits - 1 { #expect(decision.score == table.scores[decision.exit][sample]) }
                taken.insert(decision.exit)
            }
            cases += count
        }
        #expect(taken.count > 20)
    }

    @Test("decides numbers as one session for each sample")
    func numbers() {
        var generator = SplitMix64(seed: 9)
        var policy = examplePolicy()
        policy.rule = .init(kind: .patience, tolerance: 0.25)
        policy.exits[0].threshold = nil
        policy.exits[1].threshold = 1
        for _ in 0..<200 {
            var batch = ExitBatch(policy, count: 5)
            var sessions = (0..<5).map { _ in ExitSession(policy) }
            while !batch.isFinished {
                let active = batch.active
                let said = active.map { _ in Float(Int.random(in: 0...4, using: &generator)) / 4 }
                batch.observe(numbers: said)
                for (place, sample) in active.enumerated() {
                    let step = sessions[sample].observe(number: said[place])
                    #expect(step == (batch.decisions[sample].map { .stop($0) } ?? .goOn))
                }
            }
        }
    }

    @Test("of no samples is finished")
    func empty() {
        var batch = ExitBatch(examplePolicy(), count: 0)
        #expect(batch.isFinished && batch.observe([]).isEmpty)
    }
}
