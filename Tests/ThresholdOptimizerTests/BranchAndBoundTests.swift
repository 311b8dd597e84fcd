import ExitRules
import Foundation
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("Branch and bound")
struct BranchAndBoundTests {
    @Test(
        "it finds the very thresholds that trying all of a grid finds: 2000 random tables, any number of exits",
        arguments: [false, true])
    func agreesWithGridSearch(anyReference: Bool) throws {
        var inadmissible = 0
        let tables = RandomTables(seed: 60, count: 2000, maximumSamples: 30, exits: 1...6, anyReference: anyReference)
        for (number, table) in tables.enumerated() {
            let allowedGap = [0, 0.05, 0.2, 1][number % 4]
            let values = 2 + number % 3
            let grid = try GridSearch(table: table, allowedGap: allowedGap, valuesPerExit: values)
            let search = BranchAndBound(table: table, allowedGap: allowedGap, valuesPerExit: values)
            #expect(search.grid == grid.grid)
            let result = search.run()
            #expect(result.best == grid.run() && result.isProven)
            #expect(result.upperBound == result.best.outcome.speedUp)
            if !search.constraint.admits(result.best.outcome.counts) { inadmissible += 1 }
        }
        #expect(anyReference ? inadmissible > 50 : inadmissible == 0, "inadmissible: \(inadmissible)")
    }

    @Test("and so it does where relaxations have to do the pruning: 7 exits, 6 values, 300 samples")
    func agreesOnLargerTables() throws {
        for seed: UInt64 in 61...63 {
            let table = SyntheticTable.make(samples: 300, exits: 7, seed: seed)
            for allowedGap in [0, 0.02] {
                let grid = try GridSearch(table: table, allowedGap: allowedGap, valuesPerExit: 6)
                let result = BranchAndBound(table: table, allowedGap: allowedGap, valuesPerExit: 6).run()
                #expect(result.best == grid.run() && result.isProven)
            }
        }
    }

    @Test("on a grid of given thresholds, some of which release nobody, some everyone, some not everyone at all")
    func givenGrid() throws {
        let values = [2, 1.1, 0.75, 0.6, 0.2, -0.5, -3]
        let tables = RandomTables(seed: 64, count: 800, maximumSamples: 40, exits: 2...6, anyReference: true)
        for (number, table) in tables.enumerated() {
            let grid = table.scores.indices.map { Array(values.dropFirst($0 % 3).dropLast((number + $0) % 4)) }
            let result = BranchAndBound(table: table, allowedGap: 0.1, grid: grid).run()
            #expect(try result.best == GridSearch(table: table, allowedGap: 0.1, grid: grid).run() && result.isProven)
        }
    }

    @Test("scores that are not numbers are never released")
    func notANumber() throws {
        for var table in RandomTables(seed: 65, count: 200, maximumSamples: 30, exits: 2...5) {
            for exit in table.scores.indices { table.scores[exit][0] = .nan }
            let result = BranchAndBound(table: table, allowedGap: 0.1, valuesPerExit: 5).run()
            #expect(try result.best == GridSearch(table: table, allowedGap: 0.1, valuesPerExit: 5).run())
        }
    }

    @Test("without samples, and without early exits, there is one answer")
    func nothingToChoose() {
        let empty = ScoreTable(scores: [[], []], isCorrect: [[], [], []], costs: [1, 2, 3])
        let single = ScoreTable(scores: [], isCorrect: [[true, false]], costs: [3])
        for table in [empty, single] {
            for budget in [0, 100] {
                let result = BranchAndBound(table: table, allowedGap: 0, valuesPerExit: 4).run(budget: budget)
                #expect(result.best.thresholds == .neverLeaveEarly(exitCount: table.exitCount))
                #expect(result.upperBound == 1)
            }
        }
    }

    @Test("cost, excess and harmful flips are those of an enumeration in Python")
    func enumeration() throws {
        for item in try Enumeration.load().cases {
            let table = item.table
            let gap = Double(item.largestExcess) / Double(table.sampleCount)
            let search = BranchAndBound(table: table, allowedGap: gap, grid: item.grid)
            #expect(search.constraint.largestExcess(samples: table.sampleCount) == item.largestExcess)
            let result = search.run()
            let counts = result.best.outcome.counts
            #expect(result.isProven)
            #expect(result.best.outcome.costSum == item.optimum.cost, "\(item.kind)")
            #expect(counts.harmfulFlips - counts.helpfulFlips == item.optimum.excess, "\(item.kind)")
            #expect(counts.harmfulFlips == item.optimum.harmful, "\(item.kind)")
        }
    }

    @Test("whatever the budget: no bound below the optimum, no inadmissible best, and more budget is never worse")
    func budgets() throws {
        var unproven = 0
        for table in RandomTables(seed: 66, count: 300, maximumSamples: 60, exits: 5...7) {
            let search = BranchAndBound(table: table, allowedGap: 0.05, valuesPerExit: 5)
            let optimum = search.run()
            #expect(optimum.isProven)
            var last = (upperBound: Double.infinity, best: 0.0)
            for budget in [0, 1, 2, 3, 5, 10, 20, 50, 1000] {
                let result = search.run(budget: budget)
                #expect(result.nodes <= budget)
                #expect(result.upperBound >= optimum.best.outcome.speedUp)
                #expect(result.best.outcome.speedUp <= optimum.best.outcome.speedUp)
                #expect(search.constraint.admits(result.best.outcome.counts))
                #expect(result.upperBound <= last.upperBound && result.best.outcome.speedUp >= last.best)
                #expect(!result.isProven || result.upperBound == result.best.outcome.speedUp)
                last = (result.upperBound, result.best.outcome.speedUp)
                if !result.isProven { unproven += 1 }
            }
        }
        #expect(unproven > 300, "budgets that do not suffice come up: \(unproven)")
    }

    @Test("twelve exits: the bound tightens, and what is found is no worse than coordinate search on the grid")
    func manyExits() {
        let table = SyntheticTable.make(samples: 600, exits: 12, seed: 67)
        let search = BranchAndBound(table: table, allowedGap: 0.01, valuesPerExit: 16)
        let bounds = [0, 1, 100].map { search.run(budget: $0).upperBound }
        #expect(bounds[0] == 12 && bounds[1] < 6 && bounds[2] < bounds[1])
        var generator = SplitMix64(seed: 0)
        let coordinates = CoordinateSearch(table: table, allowedGap: 0.01).run(randomStarts: 2, using: &generator).best
        let result = search.run(incumbent: coordinates.thresholds, budget: 100)
        #expect(result.best.outcome.speedUp >= coordinates.outcome.speedUp)
        #expect(search.constraint.admits(result.best.outcome.counts))
        #expect(result.upperBound >= result.best.outcome.speedUp)
    }

    @Test("an incumbent that nothing on the grid beats comes back, one that is inadmissible does not")
    func incumbents() throws {
        for table in RandomTables(seed: 68, count: 500, maximumSamples: 20, exits: 2...5, anyReference: true) {
            let search = BranchAndBound(table: table, allowedGap: 0.1, valuesPerExit: 2)
            let grid = search.run().best
            let gridRank = PolicyRank(grid.outcome, constraint: search.constraint)
            var generator = SplitMix64(seed: 69)
            // Over all breakpoints, so often better than the grid.
            let given = CoordinateSearch(table: table, allowedGap: 0.1).run(randomStarts: 1, using: &generator).best
            let givenRank = PolicyRank(given.outcome, constraint: search.constraint)
            let result = search.run(incumbent: given.thresholds)
            let rank = PolicyRank(result.best.outcome, constraint: search.constraint)
            #expect(result.isProven)
            if givenRank.violation > 0 {
                #expect(result.best == grid)
            } else {
                #expect(!(gridRank < rank && gridRank.violation == 0) && !(givenRank < rank))
                #expect(result.best.thresholds == given.thresholds || rank < givenRank)
            }
        }
    }

    @Test("equal inputs give equal results, to the last bit of the bound")
    func deterministic() {
        let table = SyntheticTable.make(samples: 400, exits: 9, seed: 70)
        let search = BranchAndBound(table: table, allowedGap: 0, valuesPerExit: 12)
        #expect(search.run(budget: 150) == search.run(budget: 150))
    }
}

@Suite("The relaxation of branch and bound")
struct LinkedRelaxationTests {
    @Test("no bound is above the cost of any admissible way on, at any branch, at any multipliers it comes to")
    func bounds() {
        var generator = SplitMix64(seed: 71)
        for table in RandomTables(seed: 72, count: 150, maximumSamples: 25, exits: 4...6, anyReference: true) {
            let search = BranchAndBound(table: table, allowedGap: 0.1, valuesPerExit: 3)
            let grid = SearchGrid(
                table: table, grid: search.grid.map { $0.compactMap { $0 } },
                largestExcess: search.constraint.largestExcess(samples: table.sampleCount))
            var relaxation = LinkedRelaxation(grid: grid)
            let limit = 2 * Double(table.sampleCount) * table.costs[table.exitCount - 1]
            for depth in 0..<(grid.earlyExitCount - 2) {
                let choices = (0..<depth).map { Int.random(in: 0...grid.valueCounts[$0], using: &generator) }
                let bounds = relaxation.bounds(of: grid.branch(choices), limit: limit)
                #expect(bounds.solution.count == grid.earlyExitCount && Array(bounds.solution.prefix(depth)) == choices)
                for policy in allChoices(grid, from: choices) {
                    let rank = grid.rank(of: policy)
                    let bound = bounds.costs[policy[depth]]
                    if rank.violation == 0, bound.isFinite { #expect(bound <= rank.costSum) }
                }
            }
        }
    }

    @Test("with three open exits and flips enough for all it is the least cost of each choice")
    func exactWithoutConstraint() {
        for table in RandomTables(seed: 73, count: 150, maximumSamples: 25, exits: 4...4) {
            let search = BranchAndBound(table: table, allowedGap: 1, valuesPerExit: 6)
            // More flips than samples: their price falls to 0 in one step.
            let grid = SearchGrid(
                table: table, grid: search.grid.map { $0.compactMap { $0 } }, largestExcess: table.sampleCount + 1)
            var relaxation = LinkedRelaxation(grid: grid)
            let bounds = relaxation.bounds(of: grid.branch([]), limit: 1e9).costs
            let policies = allChoices(grid, from: [])
            for choice in bounds.indices where bounds[choice].isFinite {
                let least = policies.filter { $0[0] == choice }.map { grid.rank(of: $0).costSum }.min()!
                #expect(bounds[choice] <= least && bounds[choice] >= least * (1 - 1e-10))
            }
        }
    }

    @Test("its sweep over three exits finds what trying all choices finds: 400 random sets of gains")
    func sweep() {
        var generator = SplitMix64(seed: 75)
        for _ in 0..<400 {
            let counts = (0..<3).map { _ in Int.random(in: 0...6, using: &generator) }
            let samples = Int.random(in: 0...12, using: &generator)
            // A rank of `count` is never released.
            let ranks = counts.map { count in
                (0..<samples).map { _ in Int32.random(in: 0...Int32(count), using: &generator) }
            }
            let all = SampleSet(sampleCount: samples) { _ in true }
            let waiting = RankedSamples(all, ranks: ranks[0], valueCount: counts[0])
            let sorted = ranks.map { row in waiting.samples.map { Int(row[$0]) } }
            // Multiples of 1/4: sums are exact in any order.
            let gains = (0..<3).map { _ in
                (0..<samples).map { _ in Double(Int.random(in: -9...5, using: &generator)) / 4 }
            }
            let sweep = TripleSweep(
                waiting: waiting, ranks: (sorted[1], sorted[2]), valueCounts: (counts[1], counts[2]), gains: gains)
            func sum(_ choices: [Int]) -> Double {
                (0..<samples).reduce(0) { sum, index in
                    let exit = (0..<3).first { sorted[$0][index] < choices[$0] }
                    return sum + (exit.map { gains[$0][index] } ?? 0)
                }
            }
            #expect(sweep.minima.count == counts[0] + 1)
            for first in 0...counts[0] where waiting.isDistinct(choice: first) {
                let sums = (0...counts[1]).flatMap { second in (0...counts[2]).map { sum([first, second, $0]) } }
                #expect(sweep.minima[first] == sums.min()!)
            }
            #expect(zip(sweep.choices, counts).allSatisfy { $0 <= $1 })
            #expect(sum(sweep.choices) == sweep.minima.min()!)
        }
    }

    private func allChoices(_ grid: SearchGrid, from choices: [Int]) -> [[Int]] {
        var all = [choices]
        for exit in choices.count..<grid.earlyExitCount {
            all = all.flatMap { prefix in (0...grid.valueCounts[exit]).map { prefix + [$0] } }
        }
        return all
    }
}

@Suite("Sets of samples")
struct SampleSetTests {
    @Test("they count, intersect and subtract like sets, over word boundaries")
    func operations() {
        var generator = SplitMix64(seed: 74)
        for count in [0, 1, 63, 64, 65, 128, 200] {
            let members = (0..<2).map { _ in
                Set((0..<count).filter { _ in Bool.random(using: &generator) })
            }
            let sets = members.map { members in SampleSet(sampleCount: count) { members.contains($0) } }
            #expect(sets[0].count == members[0].count)
            #expect(sets[0].count(in: sets[1]) == members[0].intersection(members[1]).count)
            var rest = sets[0]
            rest.subtract(sets[1])
            for (set, expected) in [
                (sets[0].intersection(sets[1]), members[0].intersection(members[1])),
                (rest, members[0].subtracting(members[1])),
            ] {
                var found: [Int] = []
                set.forEach { found.append($0) }
                #expect(found == expected.sorted())
            }
        }
    }
}

/// What `Resources/enumerate_thresholds.py` wrote.
private struct Enumeration: Decodable {
    struct Optimum: Decodable {
        var cost: Double
        var excess: Int
        var harmful: Int
    }

    struct Case: Decodable {
        var kind: String
        var scores: [[Double]]
        var isCorrect: [[Int]]
        var referenceIsCorrect: [Int]
        var costs: [Double]
        var grid: [[Double]]
        var largestExcess: Int
        var optimum: Optimum

        var table: ScoreTable {
            ScoreTable(
                scores: scores, isCorrect: isCorrect.map { $0.map { $0 == 1 } },
                referenceIsCorrect: referenceIsCorrect.map { $0 == 1 }, costs: costs)
        }
    }

    var cases: [Case]

    static func load() throws -> Enumeration {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Resources/enumerated.json")
        return try JSONDecoder().decode(Enumeration.self, from: Data(contentsOf: file))
    }
}
