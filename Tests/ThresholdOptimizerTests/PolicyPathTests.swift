import Evaluation
import ExitRules
import RiskControl
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("Paths of nested policies")
struct PolicyPathTests {
    /// A table with some scores that are not a number or infinite.
    private static func awkward(_ table: ScoreTable, using generator: inout SplitMix64) -> ScoreTable {
        var table = table
        for exit in table.scores.indices {
            for sample in table.scores[exit].indices where Int.random(in: 0..<12, using: &generator) == 0 {
                table.scores[exit][sample] = [.nan, .infinity, -.infinity].randomElement(using: &generator)!
            }
        }
        return table
    }

    /// A path in the quarters that the scores of random tables lie on, so that thresholds meet scores often: bases that
    /// differ, some of them nil; shifts with repeats; sometimes from "never" to "everyone".
    private static func path(exits: Int, using generator: inout SplitMix64) -> PolicyPath {
        func quarters(_ range: ClosedRange<Int>) -> Double { Double(Int.random(in: range, using: &generator)) / 4 }
        let base = (0..<(exits - 1)).map { _ -> Double? in
            Int.random(in: 0..<5, using: &generator) == 0 ? nil : quarters(-2...2)
        }
        var shifts = (0..<Int.random(in: 0...9, using: &generator)).map { _ in quarters(-4...8) }
        if Bool.random(using: &generator) { shifts.append(.infinity) }
        if Bool.random(using: &generator) { shifts.append(-.infinity) }
        return PolicyPath(base: base, shifts: shifts.sorted(by: >))
    }

    /// Random tables, awkward scores and any reference included, each with a random path.
    private static func forEachCase(
        seed: UInt64, count: Int, _ body: (ScoreTable, PolicyPath, inout SplitMix64) -> Void
    ) {
        var generator = SplitMix64(seed: seed)
        for table in RandomTables(seed: seed + 1, count: count, maximumSamples: 14, exits: 1...5, anyReference: true) {
            let path = path(exits: table.exitCount, using: &generator)
            body(awkward(table, using: &generator), path, &generator)
        }
    }

    @Test("points and outcomes are what every policy does by itself, to the bit: 3000 random tables and paths")
    func points() {
        var policies = 0
        Self.forEachCase(seed: 70, count: 3000) { table, path, _ in
            let points = path.points(on: table)
            let outcomes = path.outcomes(on: table)
            #expect(points.count == path.count && outcomes.count == path.count)
            for (policy, point) in points.enumerated() {
                let outcome = evaluate(path.thresholds(of: policy), on: table)
                #expect(outcomes[policy] == outcome)
                #expect(point.counts == outcome.counts)
                #expect(point.costSum == outcome.costSum && point.meanCost == outcome.meanCost)
                policies += 1
            }
        }
        #expect(policies > 10_000)
    }

    @Test("each stay is a sample's exit under just the policies it names, and each sample has one under each policy")
    func stays() {
        Self.forEachCase(seed: 72, count: 1500) { table, path, _ in
            var exits = Array(repeating: Array(repeating: -1, count: table.sampleCount), count: path.count)
            path.forEachStay(on: table) { sample, exit, policies in
                #expect(!policies.isEmpty)
                for policy in policies {
                    #expect(exits[policy][sample] == -1)
                    exits[policy][sample] = exit
                }
            }
            #expect(exits == (0..<path.count).map { table.exitsTaken(path.thresholds(of: $0)) })
        }
    }

    @Test("policies are nested: no sample leaves later under a later policy, and costs never rise")
    func nested() {
        Self.forEachCase(seed: 74, count: 1500) { table, path, _ in
            let exits = (0..<path.count).map { table.exitsTaken(path.thresholds(of: $0)) }
            for (safe, fast) in zip(exits, exits.dropFirst()) {
                #expect(zip(safe, fast).allSatisfy { $0 >= $1 })
            }
            let costs = path.points(on: table).map(\.costSum)
            #expect(zip(costs, costs.dropFirst()).allSatisfy { $0 >= $1 })
        }
    }

    @Test("the moments of groups are those of each policy's differences, added up from nothing")
    func groupMoments() {
        Self.forEachCase(seed: 76, count: 2000) { table, path, generator in
            let groups = (0..<table.sampleCount).map { _ in Int.random(in: -3...2, using: &generator) }
            let found = path.groupMoments(on: table, groups: groups)
            #expect(found.count == path.count)
            for (policy, moments) in found.enumerated() {
                let exits = table.exitsTaken(path.thresholds(of: policy))
                let differences = exits.enumerated().map { sample, exit in
                    (table.referenceIsCorrect[sample] ? 1 : 0) - (table.isCorrect[exit][sample] ? 1 : 0)
                }
                let members = Set(groups).map { name in groups.indices.filter { groups[$0] == name } }
                let sums = members.map { rows in rows.reduce(0) { $0 + differences[$1] } }
                #expect(moments.samples == table.sampleCount)
                #expect(moments.squaredSizes == members.reduce(0) { $0 + $1.count * $1.count })
                #expect(moments.differences == sums.reduce(0, +))
                #expect(moments.squares == sums.reduce(0) { $0 + $1 * $1 })
                #expect(moments.products == zip(sums, members).reduce(0) { $0 + $1.0 * $1.1.count })
            }
        }
    }

    @Test("a selection has the chosen policies, with the same points")
    func selecting() {
        Self.forEachCase(seed: 78, count: 500) { table, path, generator in
            let chosen = (0..<path.count).filter { _ in Bool.random(using: &generator) }
            let selection = path.selecting(chosen)
            #expect(selection.count == chosen.count)
            #expect((0..<chosen.count).map(selection.thresholds(of:)) == chosen.map(path.thresholds(of:)))
            let points = path.points(on: table)
            #expect(selection.points(on: table) == chosen.map { points[$0] })
        }
    }

    @Test("a path of the frontier's thresholds has the frontier's points: one shared threshold, never first")
    func shared() {
        for table in RandomTables(seed: 80, count: 1000, maximumSamples: 20, anyReference: true) {
            let frontier = SingleThresholdFrontier(table)
            let path = PolicyPath(
                sharedThresholds: frontier.points.map { $0.threshold ?? .infinity }, exitCount: table.exitCount)
            let points = path.points(on: table)
            #expect(points.map(\.counts) == frontier.points.map(frontier.counts(of:)))
            #expect(points.map(\.costSum) == frontier.points.map(\.costSum))
        }
    }

    @Test("thresholds by hand: the base of each exit plus the shift, and nil stays never")
    func byHand() {
        let path = PolicyPath(base: [0.5, nil, -0.25], shifts: [1, 0.25])
        #expect(path.thresholds(of: 0) == Thresholds([1.5, nil, 0.75]))
        #expect(path.thresholds(of: 1) == Thresholds([0.75, nil, 0]))
        // The sample would leave at exit 1 under any threshold; without one there it leaves at exit 2, or at the end.
        let table = ScoreTable(
            scores: [[0], [9], [0.5]], isCorrect: [[false], [false], [true], [false]], costs: [1, 2, 3, 4])
        let points = path.points(on: table)
        #expect(points.map(\.costSum) == [4, 3])
        #expect(points[0].counts == PairedCounts(samples: 1, harmfulFlips: 0, helpfulFlips: 0))
        #expect(points[1].counts == PairedCounts(samples: 1, harmfulFlips: 0, helpfulFlips: 1))
    }

    @Test("without policies there are no points, without samples all counts are 0")
    func empty() {
        let table = ScoreTable(scores: [[0.5]], isCorrect: [[true], [true]], costs: [1, 2])
        let none = PolicyPath(base: [0], shifts: [])
        #expect(none.points(on: table).isEmpty && none.groupMoments(on: table, groups: [4]).isEmpty)
        let nobody = ScoreTable(scores: [[]], isCorrect: [[], []], costs: [1, 2])
        let points = PolicyPath(base: [0], shifts: [1, 0]).points(on: nobody)
        #expect(points.count == 2 && points.allSatisfy { $0.counts.samples == 0 && $0.costSum == 0 })
        #expect(points[0].meanCost.isNaN)
    }
}
