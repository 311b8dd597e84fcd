import ExitRules
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import ExitPolicy

/// A small valid policy.
func examplePolicy() -> Policy {
    Policy(
        name: "example", classes: ["no", "yes"],
        rule: .init(kind: .beem, weights: "accuracy", memory: 1, restart: .current),
        exits: [
            .init(index: 0, name: "layer 1", cost: 1, weight: 0.75, threshold: 0.6),
            .init(index: 1, name: "layer 2", cost: 2, weight: 0.5, threshold: nil),
            .init(index: 2, name: "layer 3", cost: 3, weight: 0.875, threshold: nil),
        ],
        heads: .init(file: "heads.safetensors", sha256: String(repeating: "0a", count: 32)), certificate: nil,
        test: .init(error: 0.125, finalError: 0.13, speedUp: 1.75),
        provenance: .init(
            recipe: "r", features: .init(sha256: "f"), splits: .init(train: nil, tune: 0.3, certify: 0.4, test: 0.3),
            seed: 7, tool: "beem"))
}

@Suite("The policy file")
struct PolicyFileTests {
    @Test("is read as it was written")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("policy.json")
        try examplePolicy().write(to: path)
        #expect(try Policy(reading: path) == examplePolicy())
        #expect(try folder.contents() == ["policy.json"])
    }

    @Test("tells what a sample costs without early exit where that is not the last exit's cost")
    func fullCost() throws {
        #expect(examplePolicy().fullCost == 3)
        #expect(!String(decoding: examplePolicy().encoded(), as: UTF8.self).contains("costWithoutExits"))
        var policy = examplePolicy()
        policy.costWithoutExits = 2.75
        let read = try Policy(decoding: policy.encoded(), file: "policy.json")
        #expect(read == policy && read.fullCost == 2.75)
        for wrong in [0, -1, 3.5] {
            policy.costWithoutExits = wrong
            let error = try #require(throws: InputError.self) {
                try Policy(decoding: policy.encoded(), file: "policy.json")
            }
            #expect(error.kind == .outOfRange && error.item == "costWithoutExits" && error.seen == "\(wrong)")
        }
    }

    @Test("writes thresholds that are never met, and a missing certificate, as null")
    func nulls() throws {
        let top = try #require(
            try JSONSerialization.jsonObject(with: examplePolicy().encoded()) as? [String: Any])
        let exits = try #require(top["exits"] as? [[String: Any]])
        #expect(exits[0]["threshold"] as? Double == 0.6)
        #expect(exits[1]["threshold"] is NSNull)
        #expect(top["certificate"] is NSNull)
    }

    /// Reads the example with one piece of its text replaced.
    private func read(replacing old: String, with new: String) throws -> Policy {
        let text = String(decoding: examplePolicy().encoded(), as: UTF8.self)
        #expect(text.contains(old))
        return try Policy(decoding: Data(text.replacingOccurrences(of: old, with: new).utf8), file: "policy.json")
    }

    @Test(
        "with a wrong value is refused, and the key is named",
        arguments: [
            ("\"threshold\" : 0.6", "\"threshold\" : NaN", InputError.Kind.malformed, ""),
            ("\"threshold\" : 0.6", "\"threshold\" : \"low\"", .malformed, "exits[0].threshold"),
            ("\"cost\" : 2", "\"cost\" : 0.5", .outOfRange, "exits[1].cost"),
            ("\"index\" : 1", "\"index\" : 5", .outOfRange, "exits[1].index"),
            ("\"weight\" : 0.75", "\"weight\" : -0.75", .outOfRange, "exits[0].weight"),
            ("\"memory\" : 1", "\"memory\" : 1.5", .outOfRange, "rule.memory"),
            ("\"temperature\" : 1", "\"temperature\" : 0", .outOfRange, "exits[0].temperature"),
            ("\"version\" : 1", "\"version\" : 2", .unsupported, "version"),
            ("beem-policy", "some-policy", .malformed, "format"),
            ("\"kind\" : \"beem\"", "\"kind\" : \"boom\"", .malformed, "rule.kind"),
            ("\"name\" : \"example\"", "\"nome\" : \"example\"", .missing, "name"),
            ("heads.safetensors", "../heads.safetensors", .outOfRange, "heads.file"),
        ])
    func refused(old: String, new: String, kind: InputError.Kind, item: String) throws {
        let error = try #require(throws: InputError.self) { try read(replacing: old, with: new) }
        #expect(error.kind == kind)
        #expect(error.file == "policy.json")
        if !item.isEmpty { #expect(error.item == item) }
    }

    @Test("has a reference among its exits, or is refused")
    func reference() throws {
        var policy = examplePolicy()
        func certificate(_ reference: Certificate.Reference) -> Certificate {
            Certificate(
                kind: .pairedExactTrinomial, reference: reference, allowedGap: 0.01, failureProbability: 0.05,
                samples: 100, harmfulFlips: 0, helpfulFlips: 9, pValue: 0.01, candidatesTested: 1, order: "given",
                certifyUses: 1, speedUp: 2)
        }
        for reference in [Certificate.Reference.final, .exit(0), .exit(2)] {
            policy.certificate = certificate(reference)
            #expect(try Policy(decoding: policy.encoded(), file: "policy.json") == policy)
        }
        policy.certificate = certificate(.exit(3))
        let error = try #require(throws: InputError.self) {
            try Policy(decoding: policy.encoded(), file: "policy.json")
        }
        #expect(error.kind == .outOfRange && error.item == "certificate.reference")
        #expect(error.seen == "3" && error.expected.contains("0..<3"))
    }

    @Test("keeps how many samples and flips its test split had; one without them is read too")
    func testCounts() throws {
        var policy = examplePolicy()
        #expect(try Policy(decoding: policy.encoded(), file: "p").test?.samples == nil)
        policy.test?.samples = 200
        policy.test?.harmfulFlips = 3
        policy.test?.helpfulFlips = 4
        #expect(try Policy(decoding: policy.encoded(), file: "p") == policy)
    }

    @Test("that is not there or not JSON gives a message, not a crash")
    func unreadable() throws {
        let missing = try #require(throws: InputError.self) { try Policy(reading: "/no/such/policy.json") }
        #expect(missing.kind == .unreadable)
        let broken = try #require(throws: InputError.self) {
            try Policy(decoding: Data("{\"format\": \"beem-policy\", ".utf8), file: "p")
        }
        #expect(broken.kind == .malformed)
    }

    @Test("that cannot be written leaves what was there")
    func unwritable() throws {
        let folder = try TemporaryFolder()
        let error = try #require(throws: InputError.self) {
            try examplePolicy().write(to: folder.file("no/such/folder/policy.json"))
        }
        #expect(error.kind == .unwritable)
        #expect(try folder.contents().isEmpty)
    }
}
