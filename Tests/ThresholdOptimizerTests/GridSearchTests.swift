import ExitRules
import Testing

@testable import ThresholdOptimizer

@Suite("Grid search")
struct GridSearchTests {
    @Test("with a value for every score it is the best of all policies there are: 1500 random tables")
    func exhaustive() throws {
        for table in RandomTables(seed: 5, count: 1500, maximumSamples: 6, exits: 2...4) {
            for allowedGap in [0, 0.2, 1] {
                let search = try GridSearch(
                    table: table, allowedGap: allowedGap, valuesPerExit: table.sampleCount, policyLimit: 1000)
                let found = search.run()
                let rank = BruteForce.rank(found.thresholds, on: table, allowedGap: allowedGap)
                #expect(rank.violation == 0)
                let best = BruteForce.bestRank(BruteForce.allPolicies(of: table), on: table, allowedGap: allowedGap)
                #expect(!(best < rank) && !(rank < best))
                #expect(found.outcome == evaluate(found.thresholds, on: table))
            }
        }
    }

    @Test("against any reference too, and where no policy is admissible the answer is never: 1500 random tables")
    func exhaustiveAgainstAnyReference() throws {
        var inadmissible = 0
        for table in RandomTables(seed: 7, count: 1500, maximumSamples: 6, exits: 2...4, anyReference: true) {
            for allowedGap in [0, 0.2] {
                let search = try GridSearch(
                    table: table, allowedGap: allowedGap, valuesPerExit: table.sampleCount, policyLimit: 1000)
                let found = search.run()
                let rank = BruteForce.rank(found.thresholds, on: table, allowedGap: allowedGap)
                let best = BruteForce.bestRank(BruteForce.allPolicies(of: table), on: table, allowedGap: allowedGap)
                if best.violation > 0 {
                    #expect(found.thresholds == .neverLeaveEarly(exitCount: table.exitCount))
                    inadmissible += 1
                } else {
                    #expect(!(best < rank) && !(rank < best))
                }
                #expect(found.outcome == evaluate(found.thresholds, on: table))
            }
        }
        #expect(inadmissible > 50, "tables on which nothing is admissible come up: \(inadmissible)")
    }

    @Test("pruning loses nothing: on a given grid it equals trying every combination", arguments: [false, true])
    func givenGrid(anyReference: Bool) throws {
        let tables = RandomTables(seed: 6, count: 800, maximumSamples: 25, exits: 3...5, anyReference: anyReference)
        for table in tables {
            let grid = table.scores.map { _ in [1.1, 0.75, 0.6, 0.2, -0.5] }
            let found = try GridSearch(table: table, allowedGap: 0.1, grid: grid).run()
            let policies = BruteForce.combinations(grid.map { [nil] + $0.map(Optional.some) })
            let rank = BruteForce.rank(found.thresholds, on: table, allowedGap: 0.1)
            let best = BruteForce.bestRank(policies, on: table, allowedGap: 0.1)
            if best.violation > 0 {
                #expect(anyReference && found.thresholds == .neverLeaveEarly(exitCount: table.exitCount))
            } else {
                #expect(!(best < rank) && !(rank < best))
            }
            #expect(
                zip(found.thresholds.values, grid).allSatisfy { value, values in value.map(values.contains) ?? true })
        }
    }

    @Test("a fast policy that is inadmissible, but less so than never, does not prune a slower one that is admissible")
    func inadmissibleOnTheWay() throws {
        // Found among 400,000 random tables: the search comes across a policy with one excess flip before the best
        // admissible one, which is slower and lies in a branch that the cost of the first would prune.
        let table = ScoreTable(
            scores: [
                [0.5, 0.25, 0.75, 0, 0.5, 0.25, 0.75], [0.75, -0.25, 0.25, 0.5, -0.25, 0, 0.75],
                [0.25, 0.5, 0.25, 0, 0.5, 0.5, 0.75],
            ],
            isCorrect: [
                [false, false, false, false, false, false, true], [false, false, true, false, true, true, false],
                [true, true, false, true, false, false, false], [false, false, false, false, true, true, false],
            ],
            referenceIsCorrect: [true, true, true, false, false, false, true], costs: [1.6, 1.8, 2.1, 4])
        let found = try GridSearch(table: table, allowedGap: 0, valuesPerExit: 7).run()
        let rank = BruteForce.rank(found.thresholds, on: table, allowedGap: 0)
        let best = BruteForce.bestRank(BruteForce.allPolicies(of: table), on: table, allowedGap: 0)
        #expect(rank.violation == 0 && best.violation == 0)
        #expect(!(best < rank) && !(rank < best))
    }

    @Test("its values release equal shares of the samples, ties together")
    func quantiles() throws {
        let scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
        let flags = Array(repeating: true, count: 8)
        func released(_ scores: [Double], _ count: Int) throws -> [Int] {
            let table = ScoreTable(scores: [scores], isCorrect: [flags, flags], costs: [1, 2])
            return try GridSearch(table: table, allowedGap: 0, valuesPerExit: count).grid[0].map { value in
                scores.count { score in value.map { score >= $0 } ?? false }
            }
        }
        #expect(try released(scores, 4) == [0, 2, 4, 6, 8])
        #expect(try released(scores, 3) == [0, 3, 6, 8])
        #expect(try released(scores, 100) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try released([1, 1, 1, 1, 1, 0, 0, 0], 4) == [0, 5, 8])
    }

    @Test("a grid that is too large is refused with its size, not begun")
    func sizeLimit() throws {
        let row = (0..<100).map { Double($0) }
        let flags = Array(repeating: true, count: 100)
        let table = ScoreTable(
            scores: Array(repeating: row, count: 11), isCorrect: Array(repeating: flags, count: 12),
            costs: (1...12).map(Double.init))
        do {
            _ = try GridSearch(table: table, allowedGap: 0, valuesPerExit: 16)
            Issue.record("17^11 combinations were accepted")
        } catch {
            #expect(abs(error.policies / 34_271_896_307_633 - 1) < 1e-12 && error.limit == 10_000_000)
            #expect(error.description.contains("34271896307633") && error.description.contains("10000000"))
        }
        #expect(throws: Never.self) {
            _ = try GridSearch(table: table, allowedGap: 0, valuesPerExit: 1)
        }
    }
}
