import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("plan")
struct PlanCommandTests {
    @Test("plans from a policy's test split as from the same rates given by hand")
    func policy() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        let test = try #require(try Policy(reading: place.policy).test)
        let samples = try Double(#require(test.samples))
        let harmful = try "\(Double(#require(test.harmfulFlips)) / samples)"
        let helpful = try "\(Double(#require(test.helpfulFlips)) / samples)"
        for options in [[], ["--samples", "400"], ["--allowed-gap", "0.03", "--power", "0.9"]] {
            let left = try Command(Command.beemPath, ["plan", "--json", "--policy", place.policy] + options)
            let right = try Command(
                Command.beemPath, ["plan", "--json", "--harmful", harmful, "--helpful", helpful] + options)
            #expect(left.exitCode == 0 && right.exitCode == 0, "\(left.errors)")
            #expect(left.output == right.output)
        }
    }

    @Test("says how many samples each gap takes: fewer for a larger one, none for a gap that is not there")
    func needed() throws {
        let command = try Command.beem(
            "plan", "--harmful", "0.03", "--helpful", "0.024", "--allowed-gap", "0.03", "--json")
        let lines = try #require(jsonObject(command)["lines"] as? [[String: Any]])
        #expect(lines.compactMap { $0["allowedGap"] as? Double } == [0, 0.0025, 0.005, 0.01, 0.02, 0.03])
        // The gap is 0.006: no number of samples certifies less.
        #expect(lines.map { $0["samples"] == nil } == [true, true, true, false, false, false])
        let needed = lines.compactMap { $0["samples"] as? Int }
        #expect(needed == needed.sorted(by: >))
        #expect(lines.compactMap { $0["power"] as? Double }.allSatisfy { $0 >= 0.8 })
        let text = try Command.beem("plan", "--harmful", "0.03", "--helpful", "0.024")
        #expect(text.output.contains("no number will do"))
    }

    @Test("says what a number of samples certifies, which is what that number is needed for")
    func samples() throws {
        let command = try Command.beem("plan", "--harmful", "0.02", "--helpful", "0.02", "--samples", "1500", "--json")
        let object = try jsonObject(command)
        let gap = try #require(object["smallestAllowedGap"] as? Double)
        #expect(gap > 0 && gap < 0.03)
        let lines = try #require(object["lines"] as? [[String: Any]])
        for line in lines {
            let power = try #require(line["power"] as? Double)
            #expect(line["samples"] as? Int == 1500)
            #expect((power >= 0.8) == (try #require(line["allowedGap"] as? Double) >= gap))
        }
    }

    @Test(
        "with options that make no sense is wrong usage",
        arguments: [
            [], ["--harmful", "0.1"], ["--policy", "p.json", "--harmful", "0.1"],
            ["--harmful", "0.7", "--helpful", "0.4"], ["--harmful", "-0.1", "--helpful", "0.4"],
            ["--harmful", "0.1", "--helpful", "0.1", "--power", "0.04"],
            ["--harmful", "0.1", "--helpful", "0.1", "--failure-probability", "0"],
            ["--harmful", "0.1", "--helpful", "0.1", "--allowed-gap", "1"],
            ["--harmful", "0.1", "--helpful", "0.1", "--samples", "0"],
        ])
    func usage(options: [String]) throws {
        #expect(try Command(Command.beemPath, ["plan"] + options).exitCode == 64)
    }

    @Test("asks for the counts of flips where a policy from before does not have them")
    func withoutCounts() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("run", place.recipe).exitCode == 0)
        var policy = try Policy(reading: place.policy)
        policy.test?.harmfulFlips = nil
        try policy.write(to: place.policy)
        let command = try Command.beem("plan", "--policy", place.policy)
        #expect(command.exitCode == 2)
        #expect(command.errors.contains("--harmful and --helpful"))
    }
}
