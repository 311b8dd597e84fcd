import ExitHeads
import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("A policy that does not offer all exits")
struct OfferedExitsCommandTests {
    private static func place(_ extra: String) throws -> CommandFolder {
        var cache = SyntheticCache()
        cache.exits = 6
        return try CommandFolder(cache: cache, extra: extra)
    }

    @Test(
        "has heads of its own, costs without the checks of the others, and says in report and terminal what is off and why"
    )
    func choose() throws {
        let place = try Self.place("cost: { layers: { check: 1 } }\nsearch: { exits: choose }")
        let run = try Command.beem("run", place.recipe)
        #expect(run.exitCode == 0, "\(run.errors)")
        let policy = try Policy(reading: place.policy)
        let reference = try #require(policy.heads)
        #expect(reference.file == "heads-offered.safetensors")
        let offered = try HeadSet(reading: place.folder.file("out/heads-offered.safetensors"))
        let all = try HeadSet(reading: place.folder.file("out/heads.safetensors"))
        #expect(all.heads.count == 6 && offered.heads.count == policy.exits.count && policy.exits.count < 6)
        let names = (0..<6).map { "layer \($0)" }
        let kept = policy.exits.map { names.firstIndex(of: $0.name)! }
        #expect(offered.heads == kept.map { all.heads[$0] })
        #expect(policy.costs == kept.enumerated().map { Double($1 + 1) + Double($0 + 1) })
        #expect(policy.fullCost == 7 && policy.costWithoutExits == 7)
        let off = names.indices.filter { !kept.contains($0) }.map { names[$0] }.joined(separator: ", ")
        #expect(run.output.contains("Switched off, since their checks cost more than they save: \(off) (predicted"))
        let page = try place.text(place.folder.file("out/report.html"))
        #expect(page.contains("were switched off on tune: \(off). Predicted to be certified"))
        // The same run again leaves the same bytes.
        let before = try place.text(place.policy)
        #expect(try Command.beem("calibrate", place.recipe, "--quiet").exitCode == 0)
        #expect(try place.text(place.policy) == before)
    }

    @Test("is applied to, verified on and exported from a cache of all exits, which it finds by their names")
    func commands() throws {
        let place = try Self.place("search: { exits: [1, 3] }")
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        let policy = try Policy(reading: place.policy)
        #expect(policy.exits.map(\.name) == ["layer 1", "layer 3", "layer 5"])
        let apply = try Command.beem("apply", place.policy, place.features, "--split", "test")
        #expect(apply.exitCode == 0, "\(apply.errors)")
        let rows = apply.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        let json = try jsonObject(try Command.beem("calibrate", place.recipe, "--json"))
        let test = try #require(json["test"] as? [String: Any])
        let paid = rows.reduce(0) { $0 + Double($1[4])! } / Double(rows.count)
        #expect(abs(6 / paid - (try #require(test["speedUp"] as? Double))) < 1e-9)
        #expect(Set(rows.map { String($0[1]) }).isSubset(of: ["0", "1", "2"]))
        #expect(try Command.beem("verify", place.policy, place.features, "--split", "test").exitCode == 0)
        let heads = place.folder.file("served.safetensors")
        #expect(try Command.beem("export", place.policy, place.features, "--output", heads).exitCode == 0)
        #expect(try HeadSet(reading: heads).heads.count == 3)
        for command in ["compare", "frontier", "study"] {
            let done = try Command(
                Command.beemPath, [command, place.recipe, "--quiet"] + (command == "study" ? ["--repeats", "2"] : []))
            #expect(done.exitCode == 0, "\(command): \(done.errors)")
        }
    }

    @Test("is refused a cache that does not have its exits, or where another comes last")
    func strangers() throws {
        let place = try Self.place("search: { exits: [1, 3] }")
        #expect(try Command.beem("run", place.recipe, "--quiet").exitCode == 0)
        for exits in [4, 7] {
            var other = SyntheticCache()
            other.exits = exits
            try other.write(to: place.folder.file("other.safetensors"))
            let apply = try Command.beem("apply", place.policy, place.folder.file("other.safetensors"))
            #expect(apply.exitCode == 2)
            #expect(apply.errors.contains("3 exits, layer 1, layer 3, layer 5"), "\(apply.errors)")
            #expect(apply.errors.contains("or some of them and the last"))
        }
    }

    @Test("that never leaves early is said to cost more than no early exit, where checks cost something")
    func nothingCertified() throws {
        var useless = SyntheticCache()
        useless.noise = 30
        let place = try CommandFolder(cache: useless, extra: "cost: { layers: { check: 0.5 } }")
        let run = try Command.beem("run", place.recipe)
        #expect(run.exitCode == 0 && run.output.contains("NOT CERTIFIED"))
        #expect(run.errors.contains("serve the network without exits"), "\(run.errors)")
    }
}
