import ExitRules
import Ranks
import Statistics
import TestSupport
import Testing

@testable import ThresholdOptimizer

@Suite("A table that ranks share")
struct SharedFrontierTests {
    /// A rank's part of a table, or all of it.
    private static func share(_ table: ScoreTable, _ ranks: any Communicator) -> SharedTable {
        SharedTable(table.selecting(Array(ranks.part(of: table.sampleCount))), among: ranks)
    }

    /// A table of so many samples, with ties.
    private static func large(samples: Int, exits: Int = 5, seed: UInt64 = 1, levels: Double = 4096) -> ScoreTable {
        var generator = SplitMix64(seed: seed)
        let ease = (0..<samples).map { _ in Double.random(in: 0...1, using: &generator) }
        let isCorrect = (0..<exits).map { exit in
            ease.map { $0 + Double(exit) / 20 > Double.random(in: 0...0.9, using: &generator) }
        }
        let scores = (0..<(exits - 1)).map { exit in
            ease.map {
                (levels * (0.3 * Double(exit) + $0 + Double.random(in: 0...0.5, using: &generator))).rounded() / levels
            }
        }
        return ScoreTable(
            scores: scores, isCorrect: isCorrect, costs: (1...exits).map(Double.init))
    }

    @Test("counts what thresholds and paths do as one process does on all samples", arguments: [1, 2, 3])
    func counts(ranks: Int) {
        let table = Self.large(samples: 997)
        let path = PolicyPath(
            sharedThresholds: SingleThresholdFrontier(table).points.compactMap(\.threshold), exitCount: table.exitCount)
        let thresholds = path.thresholds(of: path.count / 3)
        let found = ThreadRanks.run(ranks) { own in
            let shared = Self.share(table, own)
            return (
                shared.outcome(of: thresholds), shared.points(of: path), shared.errors(ofExit: 2), shared.sampleCount
            )
        }
        for rank in found {
            #expect(rank.0 == evaluate(thresholds, on: table))
            #expect(rank.1 == path.points(on: table))
            #expect(rank.2 == table.isCorrect[2].count { !$0 } && rank.3 == 997)
        }
    }

    @Test("has the thresholds and the best policy of the exact sweep where all fit: 1200 random tables, 1 to 4 ranks")
    func small() {
        for (index, table) in RandomTables(seed: 5, count: 1200, maximumSamples: 30, anyReference: true).enumerated() {
            let exact = SingleThresholdFrontier(table)
            let gap = [0, 0.1, 0.5][index % 3]
            // Where even the first policy breaks the limit, so do all; the sweep then names the first.
            let best = exact.best(allowedGap: gap).threshold
            let found = ThreadRanks.run(1 + index % 4) { own in
                let frontier = SharedFrontier(Self.share(table, own), allowedGap: gap, threads: 1)
                let path = PolicyPath(sharedThresholds: frontier.thresholds, exitCount: table.exitCount)
                #expect(frontier.points == path.points(on: table))
                return [frontier.thresholds, frontier.best.map { [$0] } ?? []]
            }
            for rank in found {
                #expect(rank[0] == exact.points.compactMap(\.threshold))
                #expect(rank[1] == (best.map { [$0] } ?? []))
            }
        }
    }

    @Test(
        "has some of its thresholds where they do not fit, evenly spread, and the best policy all the same",
        arguments: [16, 300, 4000])
    func thinned(most: Int) {
        for (seed, levels) in [(UInt64(1), 4096.0), (2, 1e9), (3, 20)] {
            let table = Self.large(samples: 20_000, seed: seed, levels: levels)
            let exact = SingleThresholdFrontier(table)
            let all = Set(exact.points.compactMap(\.threshold))
            for gap in [0, 0.01, 0.05] {
                let found = [1, 2, 3].flatMap { count in
                    ThreadRanks.run(count) { own in
                        let frontier = SharedFrontier(
                            Self.share(table, own), allowedGap: gap, mostEvents: most, threads: 2)
                        let path = PolicyPath(sharedThresholds: frontier.thresholds, exitCount: table.exitCount)
                        #expect(frontier.points == path.points(on: table))
                        return [frontier.thresholds, frontier.best.map { [$0] } ?? []]
                    }
                }
                #expect(found.allSatisfy { $0 == found[0] })
                let thresholds = found[0][0]
                #expect(all.isSuperset(of: thresholds))
                #expect(zip(thresholds, thresholds.dropFirst()).allSatisfy(>))
                // A segment joins no more than a share, and two neighbours have more than one together.
                #expect(thresholds.count <= most + 2)
                if levels > 1e6 { #expect(thresholds.count >= most / 16) }
                #expect(found[0][1] == (exact.best(allowedGap: gap).threshold.map { [$0] } ?? []))
            }
        }
    }

    @Test(
        "has the thresholds per exit of coordinate search on all samples: 600 random tables, and large ones; 1 to 3 ranks"
    )
    func coordinates() {
        let random = RandomTables(seed: 9, count: 600, maximumSamples: 40, anyReference: true).map { $0 }
        let tables = random + [1, 2, 3].map { Self.large(samples: 4000, seed: $0, levels: $0 == 3 ? 30 : 1e9) }
        for (index, table) in tables.enumerated() {
            let gap = [0, 0.02, 0.2][index % 3]
            var generator = SplitMix64(seed: 1)
            let exact = CoordinateSearch(table: table, allowedGap: gap)
                .run(randomStarts: 0, moves: .single, using: &generator).best.thresholds
            let found = ThreadRanks.run(1 + index % 3) { own in
                let shared = Self.share(table, own)
                let single = SharedFrontier(shared, allowedGap: gap, threads: 1).best
                return SharedCoordinateSearch(shared, allowedGap: gap, threads: 1).run(from: single)
            }
            #expect(found.allSatisfy { $0 == exact }, "table \(index)")
        }
    }

    @Test("exchanges no more for ten times the samples")
    func traffic() {
        let bytes = [20_000, 200_000].map { samples in
            let table = Self.large(samples: samples, levels: 1e12)
            return ThreadRanks.run(2) { own in
                let shared = Self.share(table, own)
                let frontier = SharedFrontier(shared, allowedGap: 0.01, mostEvents: 1024, threads: 1)
                _ = shared.points(
                    of: PolicyPath(sharedThresholds: frontier.thresholds, exitCount: table.exitCount).selecting(
                        Array(stride(from: 0, to: frontier.thresholds.count, by: 10))))
                return own.traffic.bytes
            }[0]
        }
        #expect(Double(bytes[1]) < 1.5 * Double(bytes[0]))
    }
}
