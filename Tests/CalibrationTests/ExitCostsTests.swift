import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import Calibration

@Suite("Costs of exits and of their checks")
struct ExitCostsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("where some exits are not offered are without the checks of those, and the cost without early exit stays")
    func selecting() {
        let costs = ExitCosts(cumulative: [2, 5, 9, 10], checks: [1, 2, 3, 0.5])
        #expect(costs.full == 4)
        let some = costs.selecting(exits: [1, 3])
        #expect(some.cumulative == [4, 6] && some.checks == [2, 0.5] && some.full == 4)
        let last = costs.selecting(exits: [3])
        #expect(last.cumulative == [4] && last.full == 4)
        #expect(costs.selecting(exits: [0, 1, 2, 3]) == costs)
        let unknown = ExitCosts(cumulative: [2, 5, 9, 10])
        #expect(unknown.full == 10 && unknown.selecting(exits: [1, 3]) == ExitCosts(cumulative: [5, 10]))
    }

    @Test("are the same whether exits are switched off at once or one after the other, on 1,000 random cases")
    func stepwise() {
        var generator = SplitMix64(seed: 8)
        for _ in 0..<1000 {
            let count = Int.random(in: 2...12, using: &generator)
            // Quarters, so that sums are exact.
            let checks = (0..<count).map { _ in Double(Int.random(in: 0...8, using: &generator)) / 4 }
            var sum = 0.0
            let cumulative = checks.map { check in
                sum += check + Double(Int.random(in: 1...9, using: &generator)) / 4
                return sum
            }
            let costs = ExitCosts(cumulative: cumulative, checks: checks)
            var kept = Array(0..<count)
            var now = costs
            while kept.count > 1 {
                let place = Int.random(in: 0..<(kept.count - 1), using: &generator)
                kept.remove(at: place)
                now = now.selecting(exits: (0..<now.count).filter { $0 != place })
                #expect(now == costs.selecting(exits: kept))
                let plain = kept.map { exit in
                    (0...exit).reduce(0.0) { sum, each in
                        let added = cumulative[each] - (each == 0 ? 0 : cumulative[each - 1])
                        return sum + added - (kept.contains(each) ? 0 : checks[each])
                    }
                }
                #expect(now.cumulative == plain)
            }
            #expect(now.cumulative == [costs.full])
        }
    }

    // MARK: From recipes

    private func experiment(_ cost: String, search: String = "", exits: Int = 3) throws -> Experiment {
        var cache = SyntheticCache()
        cache.exits = exits
        cache.samples = 90
        let recipe = try writeRecipe(in: folder, cache: cache, extra: "cost: \(cost)\nsearch: { \(search) }")
        return try Experiment(Recipe(reading: recipe))
    }

    @Test("come from a recipe on top of layers, or as part of what a list, operations or a table say")
    func recipes() throws {
        let same = try experiment("{ layers: { check: 0.25 } }").costs
        #expect(same == ExitCosts(cumulative: [1.25, 2.5, 3.75], checks: [0.25, 0.25, 0.25]) && same.full == 3.25)
        let each = try experiment("{ layers: { check: [0, 1, 0.5] } }").costs
        #expect(each == ExitCosts(cumulative: [1, 3, 4.5], checks: [0, 1, 0.5]) && each.full == 3.5)
        let list = try experiment("{ list: { cumulative: [2, 3, 7], check: 0.5 } }").costs
        #expect(list == ExitCosts(cumulative: [2, 3, 7], checks: [0.5, 0.5, 0.5]) && list.full == 6)
        #expect(try experiment("{ list: { cumulative: [2, 3, 7] } }").costs == ExitCosts(cumulative: [2, 3, 7]))
        let flops = try experiment("{ flops: { width: 4, feedForward: 8, tokens: 3 } }").costs
        // 2 d C with three classes.
        #expect(flops.checks == [24, 24, 24] && flops.full == 3 * (384 + 144 + 384) + 24)
        try folder.write("exit,ms,own\n0,4,1\n1,3,2\n2,5,0.5\n", as: "t.csv")
        let times = try experiment("{ timings: { file: t.csv, column: ms, check: own, increments: true } }").costs
        #expect(times == ExitCosts(cumulative: [4, 7, 12], checks: [1, 2, 0.5]) && times.full == 9)
        try folder.write("ms_0,ms_1,ms_2,own_0,own_1,own_2\n4,7,12,1,2,0.5\n", as: "w.csv")
        #expect(
            try experiment("{ timings: { file: w.csv, column: \"ms_{exit}\", check: \"own_{exit}\" } }").costs == times)
    }

    @Test("in batches are merged where exits are switched off, and the full network has none of their checks")
    func batches() throws {
        try folder.write(
            """
            batch,exit,milliseconds,check_milliseconds
            1,0,3,1
            4,0,6,2
            1,1,4,1
            4,1,8,3
            1,2,5,0.5
            4,2,9,1

            """, as: "b.csv")
        let experiment = try experiment("{ batches: { file: b.csv, size: 4 } }", search: "exits: choose")
        #expect(experiment.costs == ExitCosts(cumulative: [1.5, 3.5, 5.75], checks: [0.5, 0.75, 0.25]))
        let serving = try #require(experiment.serving)
        #expect(serving.full(samples: 4) == (6 + 8 + 9 - 2 - 3) / 4.0)
        let some = experiment.choosing(exits: [1, 2])
        #expect(some.costs.cumulative == [3, 5.25] && some.costs.full == 4.5)
        let merged = try #require(some.serving)
        #expect(merged.stages.map { $0.cost(ofBatch: 4) } == [12, 9] && merged.stages[0].cost(ofBatch: 1) == 6)
        #expect(merged.full(samples: 4) == serving.full(samples: 4))
        #expect(merged.regrouped(released: [3, 1]) == (12 + 5) / 4.0)
    }

    @Test(
        "say what is wrong with a check",
        arguments: [
            ("{ layers: { check: [1, 2] } }", InputError.Kind.mismatch, "cost.layers.check", "2 checks"),
            ("{ layers: {} }", .missing, "cost.layers.check", "no such key"),
            ("{ layers: { check: -1 } }", .outOfRange, "cost.layers.check", "\"-1\""),
            ("{ layers: { check: cheap } }", .outOfRange, "cost.layers.check", "\"cheap\""),
            (
                "{ list: { cumulative: [2, 3, 7], check: 1 } }", .outOfRange, "cost.list",
                "a check of 1 at exit 1, which adds 1"
            ),
            ("{ list: { cumulative: [2, 3, 7], check: [1] } }", .mismatch, "cost.list", "1 checks"),
            ("{ list: { check: 1 } }", .missing, "cost.list.cumulative", "no such key"),
            (
                "{ timings: { file: t.csv, column: ms, check: \"own_{exit}\" } }", .outOfRange, "cost.timings.check",
                "\"own_{exit}\""
            ),
            ("{ timings: { file: t.csv, column: ms, check: none } }", .missing, "column 'none'", "no such column"),
            (
                "{ timings: { file: t.csv, column: ms, check: own } }", .outOfRange, "cost.timings",
                "a check of 9 at exit 2"
            ),
            ("{ batches: { file: b.csv, size: 1 } }", .outOfRange, "column 'check_milliseconds'", "a check at exit 1"),
        ])
    func wrong(cost: String, kind: InputError.Kind, item: String, seen: String) throws {
        try folder.write("exit,ms,own\n0,4,1\n1,7,2\n2,12,9\n", as: "t.csv")
        try folder.write("batch,exit,milliseconds,check_milliseconds\n1,0,3,1\n1,1,3,3\n1,2,3,1\n", as: "b.csv")
        let error = try #require(throws: InputError.self) { try experiment(cost) }
        #expect(error.kind == kind && error.item?.hasPrefix(item) == true && error.seen.contains(seen), "\(error)")
    }

    @Test("are needed where exits are to be chosen, and named exits must be there")
    func needed() throws {
        let unknown = try #require(throws: InputError.self) { try experiment("layers", search: "exits: choose") }
        #expect(unknown.kind == .missing && unknown.item == "search.exits" && unknown.advice?.contains("check") == true)
        let stranger = try #require(throws: InputError.self) { try experiment("layers", search: "exits: [1, 3]") }
        #expect(stranger.kind == .outOfRange && stranger.item == "search.exits" && stranger.seen == "exit 3")
        #expect(throws: Never.self) { try experiment("layers", search: "exits: [1, 2]") }
    }
}
