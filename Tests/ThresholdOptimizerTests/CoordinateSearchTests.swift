import ExitRules
import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("Coordinate search")
struct CoordinateSearchTests {
    @Test(
        "a line search ends where trying every threshold of that exit ends: 2000 random tables and starts",
        arguments: [false, true])
    func lineSearch(anyReference: Bool) {
        var generator = SplitMix64(seed: 30)
        for table in RandomTables(seed: 31, count: 2000, maximumSamples: 14, anyReference: anyReference) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let start = Thresholds(
                table.scores.indices.map {
                    BruteForce.thresholds(of: table, exit: $0).randomElement(using: &generator)!
                })
            for exit in table.scores.indices {
                let found = search.lineSearch(exit: exit, from: start)
                let moves = BruteForce.singleMoves(of: table, from: start, exit: exit)
                let rank = BruteForce.rank(found, on: table, allowedGap: allowedGap)
                let best = BruteForce.bestRank(moves, on: table, allowedGap: allowedGap)
                #expect(rank.violation == best.violation && rank.costSum == best.costSum && rank.excess == best.excess)
                for other in table.scores.indices where other != exit {
                    #expect(found.values[other] == start.values[other])
                }
                let startRank = BruteForce.rank(start, on: table, allowedGap: allowedGap)
                #expect(rank < startRank || found == start, "thresholds change only when that is an improvement")
            }
        }
    }

    @Test("the result is admissible, no worse than any start, and no single threshold improves it: 1200 random tables")
    func result() {
        var generator = SplitMix64(seed: 32)
        for table in RandomTables(seed: 33, count: 1200, maximumSamples: 14) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let result = CoordinateSearch(table: table, allowedGap: allowedGap).run(randomStarts: 3, using: &generator)
            let best = BruteForce.rank(result.best.thresholds, on: table, allowedGap: allowedGap)
            #expect(best.violation == 0)
            #expect(result.best.outcome == evaluate(result.best.thresholds, on: table))
            let kinds = result.descents.map(\.kind)
            #expect(kinds.prefix(6) == [.single, .never, .perExitRule, .random, .random, .random])
            #expect(kinds.dropFirst(6).allSatisfy { $0 == .priced })
            for descent in result.descents {
                let start = BruteForce.rank(descent.start.thresholds, on: table, allowedGap: allowedGap)
                let end = BruteForce.rank(descent.end.thresholds, on: table, allowedGap: allowedGap)
                #expect(!(start < end) && !(start < best) && !(end < best))
                for exit in table.scores.indices {
                    let moves = BruteForce.singleMoves(of: table, from: descent.end.thresholds, exit: exit)
                    #expect(!(BruteForce.bestRank(moves, on: table, allowedGap: allowedGap) < end))
                }
            }
        }
    }

    @Test("against any reference it is admissible if any end is, and still no single threshold improves it")
    func resultAgainstAnyReference() {
        var generator = SplitMix64(seed: 37)
        var inadmissible = 0
        for table in RandomTables(seed: 38, count: 1200, maximumSamples: 14, anyReference: true) {
            let result = CoordinateSearch(table: table, allowedGap: 0.05).run(randomStarts: 3, using: &generator)
            let best = BruteForce.rank(result.best.thresholds, on: table, allowedGap: 0.05)
            let ends = result.descents.map { BruteForce.rank($0.end.thresholds, on: table, allowedGap: 0.05) }
            #expect(ends.allSatisfy { !($0 < best) })
            for exit in table.scores.indices {
                let moves = BruteForce.singleMoves(of: table, from: result.best.thresholds, exit: exit)
                #expect(!(BruteForce.bestRank(moves, on: table, allowedGap: 0.05) < best))
            }
            // The descents do not start out admissible here, so this is no matter of course.
            let frontier = SingleThresholdFrontier(table)
            let single = frontier.thresholds(of: frontier.best(allowedGap: 0.05))
            if BruteForce.rank(single, on: table, allowedGap: 0.05).violation == 0 {
                #expect(best.violation == 0)
                #expect(result.best.outcome.speedUp >= evaluate(single, on: table).speedUp)
            } else {
                inadmissible += 1
            }
        }
        #expect(inadmissible > 50, "tables without an admissible shared threshold come up: \(inadmissible)")
    }

    @Test(
        "the best two cuts of a pair of exits are those that trying all of them finds: 2000 random tables and starts",
        arguments: [false, true])
    func pairSweep(anyReference: Bool) {
        var generator = SplitMix64(seed: 40)
        var improved = 0
        for table in RandomTables(
            seed: 41, count: 2000, maximumSamples: 14, exits: 3...5, anyReference: anyReference)
        {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let exits = Array(table.scores.indices.shuffled(using: &generator).prefix(2)).sorted()
            var start = Thresholds(
                table.scores.indices.map {
                    BruteForce.thresholds(of: table, exit: $0).randomElement(using: &generator)!
                })
            start = search.lineSearch(exit: exits[1], from: start)
            let startRank = BruteForce.rank(start, on: table, allowedGap: allowedGap)
            let moves = BruteForce.pairMoves(of: table, from: start, exits: (exits[0], exits[1]))
            let best = BruteForce.bestRank(moves, on: table, allowedGap: allowedGap)
            var cuts = search.cuts(of: start)
            var sweep = PairSweep(search, cuts: cuts)
            if let found = sweep.best(first: exits[0], second: exits[1]) {
                improved += 1
                (cuts[exits[0]], cuts[exits[1]]) = found
                let rank = search.rank(cuts: cuts)
                #expect(rank == best && rank < startRank)
                #expect(rank == BruteForce.rank(search.thresholds(of: cuts), on: table, allowedGap: allowedGap))
            } else {
                #expect(!(best < startRank))
            }
        }
        #expect(improved > 500, "pairs that can be improved come up: \(improved)")
    }

    @Test(
        "with pairs, a descent ends no worse than without, and no two thresholds improve the end: 1500 random tables",
        arguments: [false, true])
    func pairs(anyReference: Bool) {
        var generator = SplitMix64(seed: 42)
        var better = 0
        for table in RandomTables(seed: 43, count: 1500, maximumSamples: 14, anyReference: anyReference) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let start = Thresholds(
                table.scores.indices.map {
                    BruteForce.thresholds(of: table, exit: $0).randomElement(using: &generator)!
                })
            let end = search.descend(from: start, moves: .pairs)
            #expect(end.outcome == evaluate(end.thresholds, on: table))
            let rank = BruteForce.rank(end.thresholds, on: table, allowedGap: allowedGap)
            let single = search.descend(from: start).thresholds
            let singleRank = BruteForce.rank(single, on: table, allowedGap: allowedGap)
            #expect(!(singleRank < rank))
            if rank < singleRank { better += 1 }
            #expect(!(BruteForce.bestPair(of: table, from: end.thresholds, allowedGap: allowedGap) < rank))
        }
        #expect(better > 50, "pairs make a difference: \(better)")
    }

    @Test("a search with pairs is never worse than one without, and no two thresholds improve it: 800 random tables")
    func resultWithPairs() {
        var generator = SplitMix64(seed: 44)
        for table in RandomTables(seed: 45, count: 800, maximumSamples: 14) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            var (first, second) = (generator, generator)
            let single = search.run(randomStarts: 2, moves: .single, using: &first)
            let pairs = search.run(randomStarts: 2, using: &second)
            #expect(first.next() == second.next(), "pairs draw nothing")
            #expect(single.descents.map(\.kind) == [.single, .never, .perExitRule, .random, .random])
            #expect(single.descents.map(\.start) == pairs.descents.prefix(5).map(\.start))
            let rank = BruteForce.rank(pairs.best.thresholds, on: table, allowedGap: allowedGap)
            #expect(rank.violation == 0)
            #expect(!(BruteForce.rank(single.best.thresholds, on: table, allowedGap: allowedGap) < rank))
            #expect(!(BruteForce.bestPair(of: table, from: pairs.best.thresholds, allowedGap: allowedGap) < rank))
            generator = first
        }
    }

    @Test("two thresholds at once get out of where one is stuck")
    func stuck() {
        // One harmful flip is allowed. Exit 0 spends it on sample 0; exit 1 could spend it on sample 1 and then let
        // samples 2 and 3 go as well, but only when exit 0 is closed.
        let table = ScoreTable(
            scores: [[4, 3, 2, 1], [1, 4, 3, 2]],
            isCorrect: [[false, false, false, false], [false, false, true, true], [true, true, true, true]],
            costs: [1, 2, 10])
        let search = CoordinateSearch(table: table, allowedGap: 0.25)
        let never = Thresholds.neverLeaveEarly(exitCount: 3)
        #expect(search.descend(from: never).thresholds.values == [3.5, nil])
        #expect(search.descend(from: never, moves: .pairs).thresholds.values == [nil, 1.5])
    }

    @Test("on a grid, all thresholds are of the grid and no two others of it are better: 800 random tables and grids")
    func grid() {
        var generator = SplitMix64(seed: 46)
        for table in RandomTables(seed: 47, count: 800, maximumSamples: 14) {
            let allowedGap = [0, 0.1, 0.25].randomElement(using: &generator)!
            let grid = table.scores.map { scores in
                let values = scores + scores.map { $0 - 0.125 }
                return Set(values.shuffled(using: &generator).prefix(4)).sorted(by: >)
            }
            let search = CoordinateSearch(table: table, allowedGap: allowedGap, grid: grid)
            let result = search.run(randomStarts: 2, using: &generator)
            let rank = BruteForce.rank(result.best.thresholds, on: table, allowedGap: allowedGap)
            #expect(rank.violation == 0)
            for point in result.descents.flatMap({ [$0.start, $0.end] }) {
                #expect(point.outcome == evaluate(point.thresholds, on: table))
                #expect(zip(point.thresholds.values, grid).allSatisfy { $0 == nil || $1.contains($0!) })
            }
            #expect(
                !(BruteForce.bestPair(of: table, from: result.best.thresholds, allowedGap: allowedGap, grid: grid)
                    < rank))
            let proven = BranchAndBound(table: table, allowedGap: allowedGap, grid: grid).run()
            #expect(proven.isProven && proven.best.outcome.speedUp >= result.best.outcome.speedUp)
        }
    }

    @Test("no policy of a frontier is dominated, and no single threshold makes one cheaper: 800 random tables")
    func frontier() {
        var generator = SplitMix64(seed: 48)
        var points = 0
        for table in RandomTables(seed: 49, count: 800, maximumSamples: 14, anyReference: true) {
            let search = CoordinateSearch(table: table, allowedGap: 0.1)
            let frontier = search.frontier(ratio: [1.5, 2, 4].randomElement(using: &generator)!)
            let ranks = frontier.map { BruteForce.rank($0.thresholds, on: table, allowedGap: 0) }
            #expect(!frontier.isEmpty)
            for (one, next) in zip(ranks, ranks.dropFirst()) {
                #expect(one.costSum < next.costSum && one.excess > next.excess)
            }
            for (point, rank) in zip(frontier, ranks) {
                #expect(point.outcome == evaluate(point.thresholds, on: table))
                for exit in table.scores.indices {
                    let moves = BruteForce.singleMoves(of: table, from: point.thresholds, exit: exit)
                    for move in moves.map({ BruteForce.rank($0, on: table, allowedGap: 0) }) {
                        #expect(move.costSum >= rank.costSum || move.excess > rank.excess)
                    }
                }
            }
            points += frontier.count
        }
        #expect(points > 1000, "frontiers have points: \(points)")
    }

    @Test("equal seeds give equal results")
    func deterministic() {
        for table in RandomTables(seed: 34, count: 50, maximumSamples: 40) {
            let search = CoordinateSearch(table: table, allowedGap: 0.05)
            var (first, second) = (SplitMix64(seed: 9), SplitMix64(seed: 9))
            #expect(search.run(randomStarts: 5, using: &first) == search.run(randomStarts: 5, using: &second))
            #expect(search.frontier() == search.frontier())
        }
    }

    @Test("it beats one shared threshold where exits have scores of different scale")
    func beatsSingle() {
        // Exit 0 is right from 10 up, exit 1 from 0.1 up: no shared threshold serves both.
        let table = ScoreTable(
            scores: [[10, 11, 5, 6], [0.01, 0.02, 0.1, 0.2]],
            isCorrect: [[true, true, false, false], [false, false, true, true], [true, true, true, true]],
            costs: [1, 2, 4])
        let frontier = SingleThresholdFrontier(table)
        #expect(frontier.speedUp(of: frontier.best(allowedGap: 0)) == 1.6)
        var generator = SplitMix64(seed: 1)
        let result = CoordinateSearch(table: table, allowedGap: 0).run(randomStarts: 0, using: &generator)
        #expect(abs(result.best.outcome.speedUp - 4 / 1.5) < 1e-12)
        #expect(result.best.thresholds.values == [8, 0.01 - 1] || result.best.thresholds.values == [8, 0.06])
    }

    @Test("the gap is spent, and never overspent, on a table of realistic size")
    func realisticSize() {
        let table = SyntheticTable.make(samples: 4000, exits: 12, seed: 35)
        let frontier = SingleThresholdFrontier(table)
        for allowedGap in [0, 0.005, 0.02] {
            var generator = SplitMix64(seed: 36)
            let search = CoordinateSearch(table: table, allowedGap: allowedGap)
            let best = search.run(randomStarts: 4, using: &generator).best
            #expect(RiskConstraint(allowedGap: allowedGap).admits(best.outcome.counts))
            #expect(best.outcome.speedUp >= frontier.speedUp(of: frontier.best(allowedGap: allowedGap)))
            #expect(best.outcome.speedUp > 1.05)
        }
    }
}

extension BruteForce {
    /// Every change of two thresholds; on a grid, to its values.
    fileprivate static func pairMoves(
        of table: ScoreTable, from start: Thresholds, exits: (Int, Int), grid: [[Double]]? = nil
    ) -> [Thresholds] {
        let choices = start.values.enumerated().map { exit, value in
            guard exit == exits.0 || exit == exits.1 else { return [value] }
            return grid.map { [nil] + $0[exit] } ?? thresholds(of: table, exit: exit)
        }
        return combinations(choices)
    }

    /// The best rank that changing any two thresholds comes to, or the only one.
    fileprivate static func bestPair(
        of table: ScoreTable, from start: Thresholds, allowedGap: Double, grid: [[Double]]? = nil
    ) -> PolicyRank {
        let exits = table.scores.indices
        let all = exits.flatMap { first in exits.dropFirst(first + 1).map { (first, $0) } }
        let pairs = exits.count == 1 ? [(0, 0)] : all
        return bestRank(
            pairs.flatMap { pairMoves(of: table, from: start, exits: $0, grid: grid) }, on: table,
            allowedGap: allowedGap)
    }
}
