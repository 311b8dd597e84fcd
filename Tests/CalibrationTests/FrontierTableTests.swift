import ExitRules
import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing
import ThresholdOptimizer

@testable import Calibration

@Suite("The frontier as a table")
struct FrontierTableTests {
    /// What a policy costs and errs, in samples.
    private struct Merit: Hashable {
        var cost: Double
        var errors: Int

        func beats(_ other: Merit) -> Bool { cost <= other.cost && errors <= other.errors && self != other }
    }

    private func merit(_ outcome: Outcome) -> Merit { Merit(cost: outcome.costSum, errors: outcome.errors) }

    /// Every shared threshold that makes a difference, "never" among them.
    private func policies(_ table: ScoreTable) -> [Thresholds] {
        ([nil] + Set(table.scores.joined()).map(Optional.some)).map { .shared($0, exitCount: table.exitCount) }
    }

    private func merit(_ row: FrontierTable.Row, on table: ScoreTable) -> Merit {
        merit(evaluate(.shared(row.threshold, exitCount: table.exitCount), on: table))
    }

    @Test("has the efficient policies: none of them is beaten, and each other one is beaten or tied by one of them")
    func efficient() {
        var tables = SmallTables(seed: 11)
        for _ in 0..<500 {
            let table = tables.next()
            let rows = FrontierTable(table).rows
            let merits = rows.map { merit($0, on: table) }
            #expect(!merits.isEmpty && Set(merits).count == merits.count)
            let all = Set(policies(table).map { merit(evaluate($0, on: table)) })
            for merit in merits { #expect(all.contains(merit) && !all.contains { $0.beats(merit) }) }
            for other in all where !merits.contains(other) { #expect(merits.contains { $0.beats(other) }) }
            // From safe to fast: what costs less errs more.
            #expect(
                zip(merits, merits.dropFirst()).allSatisfy { $0.cost > $1.cost && $0.errors < $1.errors })
        }
    }

    @Test("says of each row what its threshold does on the table")
    func numbers() {
        var tables = SmallTables(seed: 12)
        for round in 0..<200 {
            let table = tables.next()
            for row in FrontierTable(table, points: round % 2 == 0 ? .all : .efficient).rows {
                let outcome = evaluate(.shared(row.threshold, exitCount: table.exitCount), on: table)
                #expect(row.meanCost == outcome.meanCost && row.speedUp == outcome.speedUp)
                #expect(row.error == outcome.errorRate && row.gap == outcome.counts.riskGap)
                #expect(row.harmfulFlips == outcome.counts.harmfulFlips)
                #expect(row.helpfulFlips == outcome.counts.helpfulFlips)
            }
        }
    }

    @Test("with all points is the exact frontier, of which the efficient ones are a part, in order")
    func all() {
        var tables = SmallTables(seed: 13)
        for _ in 0..<200 {
            let table = tables.next()
            let frontier = SingleThresholdFrontier(table)
            let all = FrontierTable(table, points: .all).rows
            #expect(all.map(\.threshold) == frontier.points.map(\.threshold))
            #expect(all.map(\.harmfulFlips) == frontier.points.map(\.harmfulFlips))
            #expect(all.map(\.helpfulFlips) == frontier.points.map(\.helpfulFlips))
            #expect(all.map(\.speedUp) == frontier.points.map { frontier.speedUp(of: $0) })
            #expect(all[0].threshold == nil && all[0].speedUp == 1 && all[0].gap == 0)
            let efficient = FrontierTable(table).rows
            #expect(efficient == all.filter(efficient.contains))
            #expect(efficient.map(\.threshold) == frontier.efficientPoints.map(\.threshold))
        }
    }

    @Test("counts gaps from the table's reference, and errors as they are")
    func reference() {
        // The reference is right for the first two samples; the exits are right for one each.
        let table = ScoreTable(
            scores: [[2, 1, 0]], isCorrect: [[true, false, false], [false, false, true]],
            referenceIsCorrect: [true, true, false], costs: [1, 4])
        let rows = FrontierTable(table, points: .all).rows
        let (third, twoThirds) = (Double(1) / 3, Double(2) / 3)
        #expect(rows.map(\.gap) == [third, 0, 0, third])
        #expect(rows.map(\.error) == [twoThirds, third, third, twoThirds])
        #expect(FrontierTable(table).rows.map(\.threshold) == [0.5, -1])
    }

    private struct Parsed {
        var header: String
        var lines: [[String]]

        init(_ csv: String) {
            let lines = csv.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            header = lines[0]
            self.lines = lines.dropFirst().dropLast().map { $0.components(separatedBy: ",") }
        }
    }

    @Test("in CSV gives every number back, and never is an empty threshold")
    func csv() throws {
        var generator = SplitMix64(seed: 14)
        let count = 200
        let table = ScoreTable(
            scores: (0..<3).map { _ in (0..<count).map { _ in Double.random(in: 0..<1, using: &generator) } },
            isCorrect: (0..<4).map { exit in
                (0..<count).map { _ in Int.random(in: 0..<10, using: &generator) < 6 + exit }
            }, costs: [0.1, 0.7, 1e3 / 3, 1e6 / 7])
        for points in FrontierTable.Points.allCases {
            let frontier = FrontierTable(table, points: points)
            let parsed = Parsed(frontier.csv)
            #expect(parsed.header == "threshold,mean_cost,speed_up,error,gap,harmful_flips,helpful_flips")
            #expect(parsed.lines.count == frontier.rows.count && frontier.csv.hasSuffix("\n"))
            for (line, row) in zip(parsed.lines, frontier.rows) {
                #expect(line.count == 7)
                #expect(line[0].isEmpty == (row.threshold == nil) && Double(line[0]) == row.threshold)
                let numbers: [Double] = [row.meanCost, row.speedUp, row.error, row.gap]
                #expect(line[1...4].compactMap { Double($0) } == numbers)
                #expect(Int(line[5]) == row.harmfulFlips && Int(line[6]) == row.helpfulFlips)
            }
        }
        let all = Parsed(FrontierTable(table, points: .all).csv).lines
        #expect(all[0][0].isEmpty && all.dropFirst().allSatisfy { !$0[0].isEmpty })

        let folder = try TemporaryFolder()
        try FrontierTable(table).write(to: folder.file("frontier.csv"))
        let text = try String(contentsOfFile: folder.file("frontier.csv"), encoding: .utf8)
        #expect(text == FrontierTable(table).csv)
        let error = #expect(throws: InputError.self) { try FrontierTable(table).write(to: folder.file("no/f.csv")) }
        #expect(error?.kind == .unwritable)
    }

    @Test("in JSON has every key, and never is null")
    func json() throws {
        let table = ScoreTable(scores: [[0.5]], isCorrect: [[false], [true]], costs: [1, 2])
        let data = try JSONEncoder().encode(FrontierTable(table, points: .all).rows)
        let rows = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        #expect(rows.count == 2 && rows.allSatisfy { $0.count == 7 })
        #expect(rows[0]["threshold"] is NSNull && rows[0]["meanCost"] as? Double == 2)
        #expect(rows[1]["threshold"] as? Double == -0.5 && rows[1]["harmfulFlips"] as? Int == 1)
    }
}
