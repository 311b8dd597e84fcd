import FeatureCache
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("The log of uses of certify splits")
struct CertifyLogTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var log: CertifyLog { CertifyLog(besideOutput: folder.file("out")) }

    private func use(certify: String = "c", recipe: String = "r", action: String = "calibrate") -> CertifyLog.Use {
        CertifyLog.Use(
            certify: certify, features: "f", recipe: recipe, name: "n", seed: 1, heads: "h", action: action)
    }

    private func lines() throws -> [String] {
        try String(contentsOfFile: folder.file("certify-log.jsonl"), encoding: .utf8).split(separator: "\n")
            .map(String.init)
    }

    @Test("lies in the folder that holds the output folder, also for a policy's file")
    func place() {
        #expect(log.path == folder.file("certify-log.jsonl"))
        #expect(CertifyLog(besideOutput: folder.file("out/")).path == folder.file("certify-log.jsonl"))
        #expect(CertifyLog(besidePolicy: folder.file("out/policy.json")).path == folder.file("certify-log.jsonl"))
    }

    @Test("holds a line for each different use, and counts those of one split")
    func counts() throws {
        #expect(try log.record(use()) == CertifyLog.Usage(uses: 1, otherDraws: 0))
        #expect(try log.record(use()) == CertifyLog.Usage(uses: 1, otherDraws: 0))
        #expect(try lines().count == 1)
        #expect(try log.record(use(recipe: "other")) == CertifyLog.Usage(uses: 2, otherDraws: 0))
        #expect(try log.record(use(action: "spend")).uses == 3)
        #expect(try log.record(use(certify: "d")) == CertifyLog.Usage(uses: 1, otherDraws: 1))
        #expect(try log.record(use()) == CertifyLog.Usage(uses: 3, otherDraws: 1, place: 1))
        #expect(try lines().count == 4)
    }

    @Test("passes over empty lines, and counts other features' splits for nothing")
    func emptyLines() throws {
        _ = try log.record(use())
        let text = try String(contentsOfFile: log.path, encoding: .utf8)
        try folder.write("\n" + text + "\n" + text.replacing("\"f\"", with: "\"g\""), as: "certify-log.jsonl")
        #expect(try log.record(use(certify: "d")) == CertifyLog.Usage(uses: 1, otherDraws: 1))
    }

    @Test("with a line that is none is an error that names the line, and nothing is added")
    func malformed() throws {
        _ = try log.record(use())
        let text = try String(contentsOfFile: log.path, encoding: .utf8) + "\n{\"certify\": 3}\n"
        try folder.write(text, as: "certify-log.jsonl")
        let error = try #require(throws: InputError.self) { try log.record(use(recipe: "other")) }
        #expect(error.kind == .malformed && error.item == "line 3")
        #expect(error.file == log.path)
        #expect(try String(contentsOfFile: log.path, encoding: .utf8) == text)
    }

    @Test("that cannot be read or written is an error")
    func unwritable() throws {
        try FileManager.default.createDirectory(atPath: log.path, withIntermediateDirectories: false)
        #expect(try #require(throws: InputError.self) { try log.record(use()) }.kind == .unreadable)
        let missing = CertifyLog(besideOutput: folder.file("no/such/folder/out"))
        let error = try #require(throws: InputError.self) { try missing.record(use()) }
        #expect(error.kind == .unwritable && error.file == missing.path)
    }

    @Test("knows a split by its rows and labels alone")
    func hash() throws {
        let path = folder.file("features.safetensors")
        func hash(_ rows: [Int], _ cache: SyntheticCache) throws -> String {
            try cache.write(to: path)
            return CertifyLog.hash(of: rows, in: try FeatureCache(opening: path).samples)
        }
        let plain = SyntheticCache()
        var noisy = plain
        noisy.noise = 3
        var relabelled = plain
        relabelled.relabelling = { $0[2] = ($0[2] + 1) % 3 }
        let expected = try hash([1, 2, 3], plain)
        #expect(try hash([1, 2, 3], noisy) == expected)
        #expect(try hash([1, 2, 3], relabelled) != expected)
        #expect(try hash([1, 3], relabelled) == hash([1, 3], plain))
        #expect(try hash([1, 2, 4], plain) != expected)
    }
}
