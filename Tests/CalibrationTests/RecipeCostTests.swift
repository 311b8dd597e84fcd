import ExitRules
import FeatureCache
import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing
import ThresholdOptimizer

@testable import Calibration

/// A wide table of 12 samples and 3 exits with times: rows 0-4 are tune, 5-8 certify, 9-11 test.
private struct TimedTable {
    static let splits =
        Array(repeating: "tune", count: 5) + Array(repeating: "certify", count: 4)
        + Array(repeating: "test", count: 3)
    /// [exits][samples]
    var times: [[Double]] = (1...3).map { exit in
        (0..<12).map { sample in
            let extra = (sample * 7) % 5 * (sample < 5 ? 1 : 100)
            return Double(10 * exit + extra)
        }
    }

    var wide: String {
        var text = "truth,split,l0,l1,l2,t0,t1,t2\n"
        for sample in 0..<12 {
            let times = times.map { "\($0[sample])" }.joined(separator: ",")
            text += "\(sample % 2),\(Self.splits[sample]),\(sample % 2),\(sample % 2),\(sample % 3 % 2),\(times)\n"
        }
        return text
    }

    /// Samples in the same order, the exits of each in another.
    var long: String {
        var text = "id,layer,truth,split,label,ms\n"
        for sample in 0..<12 {
            for exit in [2, 0, 1] {
                let label = exit == 2 ? sample % 3 % 2 : sample % 2
                text +=
                    "s\(sample),\(exit),\(sample % 2),\(Self.splits[sample]),\(label),\(times[exit][sample])\n"
            }
        }
        return text
    }

    func statistic(_ rows: Range<Int>, isMedian: Bool) -> [Double] {
        times.map { row in
            let sorted = rows.map { row[$0] }.sorted()
            let middle = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
            return isMedian ? middle : rows.reduce(0) { $0 + row[$1] } / Double(rows.count)
        }
    }
}

@Suite("A recipe's cost")
struct RecipeCostTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let wideData = "{ file: o.csv, columns: { target: truth, label: \"l{exit}\", split: split } }"
    private static let longData =
        "{ file: o.csv, columns: { sample: id, exit: layer, target: truth, label: label, split: split } }"

    private func costs(
        _ cost: String, table: String = TimedTable().wide, data: String = Self.wideData
    ) throws -> [Double] {
        try folder.write(table, as: "o.csv")
        return try experiment(cost, data: data).costs.cumulative
    }

    private func experiment(_ cost: String, data: String = Self.wideData) throws -> Experiment {
        let recipe = try folder.write(
            """
            name: timed
            outputs: \(data)
            splits: stored
            output: out
            rule: { kind: patience }
            \(cost.isEmpty ? "" : "cost: \(cost)")
            """, as: "recipe.yaml")
        return try Experiment(Recipe(reading: recipe))
    }

    private func error(
        _ cost: String, table: String = TimedTable().wide, data: String = Self.wideData
    ) throws -> InputError {
        try #require(throws: InputError.self) { try costs(cost, table: table, data: data) }
    }

    // MARK: Layers, lists, operations

    @Test("is one for each exit unless it says more, or what the list says")
    func layersAndList() throws {
        #expect(try costs("") == [1, 2, 3] && costs("layers") == [1, 2, 3])
        #expect(try costs("[0.5, 2, 7.25]") == [0.5, 2, 7.25])
        #expect(try experiment("").serving == nil)
    }

    @Test("is refused where the list has another number of costs than there are exits", arguments: ["[1, 2]", "[1]"])
    func wrongCount(list: String) throws {
        let error = try error(list)
        #expect(error.kind == .mismatch && error.item == "cost" && error.file == folder.file("recipe.yaml"))
        #expect(error.expected == "one for each of the 3 exits in \(folder.file("o.csv"))")
    }

    @Test("in operations is that of the encoder, written out by hand")
    func flops() throws {
        // 8 s d^2 + 4 s^2 d + 4 s d f with d = 4, f = 8, s = 3, and 2 d C with two classes.
        let (layer, head) = (384.0 + 144 + 384, 16.0)
        let shape = "width: 4, feedForward: 8, tokens: 3"
        #expect(try costs("{ flops: { \(shape) } }") == [1, 2, 3].map { $0 * (layer + head) })
        #expect(
            try costs("{ flops: { \(shape), layers: [2, 4, 12] } }")
                == [2 * layer + head, 4 * layer + 2 * head, 12 * layer + 3 * head])
        // 2 d h + 2 h C with h = 5.
        #expect(try costs("{ flops: { \(shape), headWidth: 5 } }") == [1, 2, 3].map { $0 * (layer + 60) })
        let half = try costs("{ flops: { width: 4, feedForward: 8, tokens: 2.5 } }")
        let expected = EncoderCost(width: 4, feedForward: 8, tokens: 2.5, classes: 2, layers: [1, 2, 3]).cumulative
        #expect(half == expected)
    }

    @Test(
        "in operations says which size is wrong",
        arguments: [
            ("{ feedForward: 8, tokens: 3 }", "cost.flops.width", "a value for"),
            ("{ width: 0, feedForward: 8, tokens: 3 }", "cost.flops.width", "at least 1"),
            ("{ width: 4, feedForward: 8.5, tokens: 3 }", "cost.flops.feedForward", "at least 1"),
            ("{ width: 4, feedForward: 8, tokens: 0.5 }", "cost.flops.tokens", "at least 1"),
            ("{ width: 4, feedForward: 8, tokens: 3, headWidth: 0 }", "cost.flops.headWidth", "at least 1"),
            ("{ width: 4, feedForward: 8, tokens: 3, layers: [2, 2, 3] }", "cost.flops.layers", "rising"),
            ("{ width: 4, feedForward: 8, tokens: 3, layers: [0, 2, 3] }", "cost.flops.layers[0]", "from 1"),
            ("{ width: 4, feedForward: 8, tokens: 3, layers: [1.5, 2, 3] }", "cost.flops.layers[0]", "from 1"),
            ("{ width: 4, feedForward: 8, tokens: 3, layers: [1, 2] }", "cost.flops", "one for each of the 3 exits"),
            ("{ width: 4, feedForward: 8, tokens: 3, depth: 2 }", "cost.flops.depth", "one of width"),
        ])
    func wrongFlops(shape: String, item: String, expected: String) throws {
        let error = try error("{ flops: \(shape) }")
        #expect(error.item?.hasPrefix(item) == true && error.expected.contains(expected), "\(error)")
    }

    @Test("is one kind, not two", arguments: ["{}", "{ flops: {}, timings: {} }"])
    func oneOf(cost: String) throws {
        let error = try error(cost)
        #expect(error.kind == .malformed && error.expected == "one of `layers`, `list`, `flops`, `timings`, `batches`")
        #expect(try self.error("{ watts: 3 }").kind == .unknownKey)
    }

    // MARK: Timings

    @Test("in times of the outputs' own table is the median of tune, or its mean, in both forms")
    func ownTable() throws {
        let table = TimedTable()
        let (median, mean) = (table.statistic(0..<5, isMedian: true), table.statistic(0..<5, isMedian: false))
        #expect(try costs("{ timings: { column: \"t{exit}\" } }") == median)
        #expect(try costs("{ timings: { column: \"t{exit}\", statistic: mean } }") == mean)
        #expect(try costs("{ timings: { column: ms } }", table: table.long, data: Self.longData) == median)
        let longMean = "{ timings: { column: ms, exit: layer, statistic: mean } }"
        #expect(try costs(longMean, table: table.long, data: Self.longData) == mean)
    }

    @Test("in times does not change with what certify and test took, and does with what tune took")
    func tuneAlone() throws {
        for (cost, isLong) in [
            ("{ timings: { column: \"t{exit}\", statistic: mean } }", false),
            ("{ timings: { column: ms, exit: layer, statistic: mean } }", true),
        ] {
            func costs(_ table: TimedTable) throws -> [Double] {
                try self.costs(
                    cost, table: isLong ? table.long : table.wide, data: isLong ? Self.longData : Self.wideData)
            }
            let before = try costs(TimedTable())
            var others = TimedTable()
            for exit in 0..<3 { for sample in 5..<12 { others.times[exit][sample] = 1e6 - Double(exit * sample) } }
            #expect(try costs(others) == before)
            var tune = TimedTable()
            for exit in 0..<3 { tune.times[exit][2] += 5 }
            #expect(try zip(costs(tune), before).allSatisfy { abs($0 - $1 - 1) < 1e-12 })
        }
    }

    @Test("in times of the outputs' own table is that of tune also where the recipe names the file once more")
    func ownTableByName() throws {
        let table = TimedTable()
        let own = try costs("{ timings: { column: \"t{exit}\", statistic: mean } }")
        #expect(own == table.statistic(0..<5, isMedian: false))
        #expect(try costs("{ timings: { file: o.csv, column: \"t{exit}\", statistic: mean } }") == own)
        #expect(try costs("{ timings: { file: ./o.csv, column: \"t{exit}\", statistic: mean } }") == own)
    }

    @Test("in times of another file is that of all its rows, in wide and in long form, exits counted from anywhere")
    func otherFile() throws {
        try folder.write("run,ms_1,ms_2,ms_3\n1,5,9,20\n2,1,8,30\n3,2,9,40\n4,3,10,10\n", as: "wide.csv")
        #expect(try costs("{ timings: { file: wide.csv, column: \"ms_{exit}\" } }") == [2.5, 9, 25])
        #expect(try costs("{ timings: { file: wide.csv, column: \"ms_{exit}\", statistic: mean } }") == [2.75, 9, 25])
        // Not as many of each exit: measurements, not samples.
        try folder.write("layer\tms\n7\t9\n6\t2\n8\t20\n6\t3\n6\t7\n", as: "long.tsv")
        #expect(try costs("{ timings: { file: long.tsv, column: ms, exit: layer } }") == [3, 9, 20])
        #expect(
            try costs("{ timings: { file: long.tsv, column: ms, exit: layer, statistic: mean } }") == [4, 9, 20])
    }

    @Test("in times from exit to exit is their sum up to each")
    func increments() throws {
        try folder.write("exit,ms\n0,4\n1,3\n2,0.5\n", as: "steps.csv")
        #expect(try costs("{ timings: { file: steps.csv, column: ms, increments: true } }") == [4, 7, 7.5])
        let error = try error("{ timings: { file: steps.csv, column: ms, increments: false } }")
        #expect(error.kind == .outOfRange && error.item == "cost.timings" && error.file == folder.file("steps.csv"))
        #expect(error.seen == "the costs 4, 3, 0.5" && error.expected == "positive and strictly increasing ones")
        #expect(error.advice?.contains("up to and including its exit") == true)
    }

    @Test("in times is refused where there is nothing to add for an exit, or fewer times than exits")
    func notIncreasing() throws {
        try folder.write("exit,ms\n0,4\n1,0\n2,1\n", as: "steps.csv")
        #expect(try error("{ timings: { file: steps.csv, column: ms, increments: true } }").seen == "the costs 4, 4, 5")
        try folder.write("exit,ms\n0,0\n1,1\n2,2\n", as: "zero.csv")
        #expect(try error("{ timings: { file: zero.csv, column: ms } }").seen == "the costs 0, 1, 2")
        try folder.write("exit,ms\n0,1\n1,2\n", as: "two.csv")
        let few = try error("{ timings: { file: two.csv, column: ms } }")
        #expect(few.kind == .mismatch && few.file == folder.file("two.csv") && few.seen == "2 costs")
        try folder.write("exit,ms\n0,1\n2,2\n3,4\n", as: "hole.csv")
        #expect(try error("{ timings: { file: hole.csv, column: ms } }").seen == "exits with a hole between them")
    }

    @Test(
        "in times says which column, key or number is wrong",
        arguments: [
            ("{ column: \"ms_{exit}\" }", InputError.Kind.missing, "column 'ms_{exit}'"),
            ("{ column: \"split{exit}\" }", .missing, "column 'split{exit}'"),
            ("{ column: \"t{exit}\", statistic: mode }", .outOfRange, "cost.timings.statistic"),
            ("{ column: \"t{exit}\", increments: 1 }", .outOfRange, "cost.timings.increments"),
            ("{ statistic: mean }", .missing, "cost.timings.column"),
            ("{ file: none.csv, column: ms }", .unreadable, ""),
            ("{ column: split, exit: l0 }", .mismatch, "cost.timings.column"),
        ])
    func wrongTimings(timings: String, kind: InputError.Kind, item: String) throws {
        let error = try error("{ timings: \(timings) }")
        #expect(error.kind == kind && (error.item ?? "").hasPrefix(item), "\(error)")
    }

    @Test("in times of a long table's own is no pattern: its rows are not samples")
    func patternInLongTable() throws {
        let error = try error("{ timings: { column: \"t{exit}\" } }", table: TimedTable().long, data: Self.longData)
        #expect(error.kind == .mismatch && error.item == "cost.timings.column" && error.seen == "\"t{exit}\"")
        #expect(error.expected.contains("one column"))
    }

    @Test("in times needs a file where the data are no table")
    func noTable() throws {
        let recipe = try writeRecipe(in: folder, extra: "cost: { timings: { column: ms } }")
        let error = try #require(throws: InputError.self) { try Experiment(Recipe(reading: recipe)) }
        #expect(error.kind == .missing && error.item == "cost.timings.file" && error.file == recipe)
        #expect(error.expected == "a table of times, since the data are no table")
        try folder.write("exit,ms\n1,1\n2,2\n3,4\n4,8\n", as: "times.csv")
        let other = try writeRecipe(in: folder, extra: "cost: { timings: { file: times.csv, column: ms } }")
        #expect(try Experiment(Recipe(reading: other)).costs.cumulative == [1, 2, 4, 8])
    }

    // MARK: Batches

    @Test("of batches is the time of a full batch at every stage, over its size, added up")
    func batches() throws {
        try folder.write("batch,milliseconds\n1,2\n8,4\n", as: "b.csv")
        #expect(try costs("{ batches: { file: b.csv, size: 8 } }") == [0.5, 1, 1.5])
        // Between 1 and 8 along a straight line: 2 + 2 * 3 / 7.
        let four = (2 + 2 * 3.0 / 7) / 4
        #expect(try costs("{ batches: { file: b.csv, size: 4 } }") == [four, four + four, four + four + four])
        let serving = try #require(try experiment("{ batches: { file: b.csv, size: 4 } }").serving)
        #expect(serving.batchSize == 4 && serving.stages.count == 3 && serving.stages[0].largestBatch == 8)
    }

    @Test("of batches may differ between stages, exits counted from any number", arguments: [0, 1, 7])
    func batchesByExit(first: Int) throws {
        let text = "exit,batch,milliseconds\n\(first + 1),2,3\n\(first),2,1\n\(first + 2),4,8\n\(first + 2),2,5\n"
        try folder.write(text, as: "b.csv")
        #expect(try costs("{ batches: { file: b.csv, size: 2 } }") == [0.5, 2, 4.5])
    }

    @Test(
        "of batches says what is wrong with the table",
        arguments: [
            ("batch,milliseconds\n1,2\n4,4\n", InputError.Kind.outOfRange, "column 'batch'", "at most 4", "8 samples"),
            ("exit,batch,milliseconds\n1,8,2\n2,4,2\n3,8,2\n", .outOfRange, "exit 2", "at most 4", "8 samples"),
            ("exit,batch,milliseconds\n1,8,2\n3,8,2\n", .outOfRange, "exit 2", "no measurement", "8 samples"),
            ("batch,milliseconds\n8,2\n8,3\n", .outOfRange, "row 2", "second time", "one row"),
            ("exit,batch,milliseconds\n0,8,1\n1,8,1\n2,8,1\n3,8,1\n", .mismatch, "row 4", "3", "one of 3 exits"),
            ("exit,batch,milliseconds\n0,8,1\n0.5,8,1\n2,8,1\n", .mismatch, "row 2", "0.5", "one of 3 exits"),
            ("exit,batch,milliseconds\n0.5,8,1\n1.5,8,1\n2.5,8,1\n", .mismatch, "row 1", "0.5", "one of 3 exits"),
            ("exit,batch,milliseconds\n1e300,8,1\n2e300,8,1\n", .mismatch, "row 1", "1e+300", "one of 3 exits"),
            ("exit,batch,milliseconds\n-1,8,1\n0,8,1\n1,8,1\n", .mismatch, "row 1", "-1", "one of 3 exits"),
            ("batch,milliseconds\n8,0\n", .outOfRange, "row 1, column 'milliseconds'", "0", "positive"),
            ("batch,milliseconds\n1,1\n8,-3\n", .outOfRange, "row 2, column 'milliseconds'", "-3", "positive"),
            ("batch,milliseconds\n0,1\n", .outOfRange, "row 1, column 'batch'", "0", "whole number from 1"),
            ("batch,milliseconds\n2.5,1\n", .outOfRange, "row 1, column 'batch'", "2.5", "whole number from 1"),
            ("batch,ms\n8,1\n", .missing, "column 'milliseconds'", "no such column", "batch"),
            ("batch,milliseconds\n8,fast\n", .malformed, "row 1, column 'milliseconds'", "fast", "finite number"),
        ])
    func wrongBatches(
        table: String, kind: InputError.Kind, item: String, seen: String, expected: String
    ) throws {
        try folder.write(table, as: "b.csv")
        let error = try error("{ batches: { file: b.csv, size: 8 } }")
        #expect(error.kind == kind && error.file == folder.file("b.csv"), "\(error)")
        #expect(error.item?.hasPrefix(item) == true && error.seen.contains(seen), "\(error)")
        #expect(error.expected.contains(expected), "\(error)")
    }

    @Test(
        "of batches needs a file and a size", arguments: ["{ size: 8 }", "{ file: b.csv }", "{ file: b.csv, size: 0 }"])
    func batchKeys(batches: String) throws {
        #expect(try error("{ batches: \(batches) }").item?.hasPrefix("cost.batches.") == true)
    }
}

@Suite("A recipe's search")
struct RecipeSearchTests {
    private func parse(_ lines: String) throws -> Recipe {
        try Recipe(parsing: RecipeTests.minimal + "\n" + lines + "\n", file: "recipe.yaml")
    }

    @Test(
        "is a family of thresholds with its settings",
        arguments: [
            ("{}", Recipe.SearchChoice.single), ("{ thresholds: single }", .single), ("{ minimumSpeedUp: 2 }", .single),
            ("{ thresholds: curve }", .curve(nil)),
            ("{ thresholds: curve, slope: -1.5 }", .curve(DepthCurve(slope: -1.5))),
            ("{ thresholds: curve, slope: 0, bend: 2 }", .curve(DepthCurve(slope: 0, bend: 2))),
            ("{ thresholds: shrunk }", .shrunk(share: 0.5, starts: 8, moves: .single)),
            ("{ thresholds: shrunk, share: 0, starts: 2, moves: pairs }", .shrunk(share: 0, starts: 2, moves: .pairs)),
            ("{ thresholds: shrunk, share: 1 }", .shrunk(share: 1, starts: 8, moves: .single)),
            ("{ thresholds: per-exit }", .perExitCoordinate(starts: 8, moves: .single)),
            (
                "{ thresholds: per-exit, method: coordinate, starts: 3, moves: single }",
                .perExitCoordinate(starts: 3, moves: .single)
            ),
            ("{ thresholds: per-exit, moves: pairs }", .perExitCoordinate(starts: 8, moves: .pairs)),
            ("{ thresholds: per-exit, method: grid }", .perExitGrid(values: 8)),
            ("{ thresholds: per-exit, method: grid, values: 3 }", .perExitGrid(values: 3)),
        ])
    func families(search: String, expected: Recipe.SearchChoice) throws {
        #expect(try parse("search: \(search)").search == expected)
    }

    @Test(
        "refuses settings of another family",
        arguments: [
            ("thresholds: single, slope: 1", "slope", "thresholds: single"),
            ("thresholds: single, share: 1", "share", "thresholds: single"),
            ("thresholds: single, method: grid", "method", "thresholds: single"),
            ("moves: pairs", "moves", "thresholds: single"),
            ("thresholds: curve, starts: 1", "starts", "thresholds: curve"),
            ("thresholds: curve, slope: 1, share: 1", "share", "thresholds: curve"),
            ("thresholds: shrunk, slope: 1", "slope", "thresholds: shrunk"),
            ("thresholds: shrunk, method: grid", "method", "thresholds: shrunk"),
            ("thresholds: shrunk, values: 3", "values", "thresholds: shrunk"),
            ("thresholds: per-exit, values: 3", "values", "method: coordinate"),
            ("thresholds: per-exit, bend: 3", "bend", "method: coordinate"),
            ("thresholds: per-exit, method: grid, starts: 3", "starts", "method: grid"),
            ("thresholds: per-exit, method: grid, moves: pairs", "moves", "method: grid"),
        ])
    func foreign(settings: String, key: String, setting: String) throws {
        let error = try #require(throws: InputError.self) { try parse("search: { \(settings) }") }
        #expect(error.kind == .unknownKey && error.item?.hasPrefix("search.\(key) (line 5") == true)
        #expect(error.seen == "a setting of another search" && error.expected == "no such key with `\(setting)`")
    }

    @Test("refuses a bend without a slope, since the slope would be picked")
    func bendAlone() throws {
        let error = try #require(throws: InputError.self) { try parse("search: { thresholds: curve, bend: 1 }") }
        #expect(error.item?.hasPrefix("search.bend") == true && error.expected == "a `slope` beside it")
    }

    @Test(
        "refuses values that are none",
        arguments: [
            ("thresholds: curve, slope: steep", "search.slope"), ("thresholds: curve, slope: .inf", "search.slope"),
            ("thresholds: shrunk, share: 1.1", "search.share"), ("thresholds: shrunk, share: -0.1", "search.share"),
            ("thresholds: shrunk, starts: -1", "search.starts"),
            ("thresholds: per-exit, moves: triples", "search.moves"),
            ("thresholds: parabola", "search.thresholds"), ("minimumSpeedUp: 0.5", "search.minimumSpeedUp"),
            ("threshold: single", "search.threshold"),
        ])
    func wrongValues(settings: String, item: String) throws {
        let error = try #require(throws: InputError.self) { try parse("search: { \(settings) }") }
        #expect(error.item?.hasPrefix("\(item) (line 5") == true, "\(error)")
    }

    @Test("is picked with the rule unless it names its family, or a setting that implies one")
    func picked() throws {
        let auto = "rule: { kind: auto }\n"
        #expect(try parse(auto).picksSearch && parse(auto + "search: {}").picksSearch)
        let dual = try parse(auto + "search: { minimumSpeedUp: 2 }")
        #expect(dual.picksSearch && dual.minimumSpeedUp == 2)
        for named in ["single", "curve", "shrunk", "per-exit"] {
            #expect(!(try parse(auto + "search: { thresholds: \(named) }").picksSearch))
        }
        for other in ["", "search: {}", "rule: { kind: beem }"] { #expect(!(try parse(other).picksSearch)) }
    }
}
