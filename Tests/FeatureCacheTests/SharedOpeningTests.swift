import ExitRules
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import FeatureCache

@Suite("A file that ranks open together")
struct SharedOpeningTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Twelve samples, two exits; what is wrong with them is in the last ones.
    private func outputs(
        labels: [Int32] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
        confidences: [Float] = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    ) -> TestCache {
        TestCache(
            tensors: [
                "labels": .integers([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1], .int32, shape: [12]),
                "label.0": .integers(labels, .int32, shape: [12]),
                "label.1": .integers(labels, .int64, shape: [12]),
                "confidence.0": .floats(confidences, .float32, shape: [12]),
                "confidence.1": .floats(confidences, .float32, shape: [12]),
            ], metadata: [:])
    }

    /// What opening says of a file: on one rank and on three.
    private func opened<Value: Equatable & Sendable>(
        _ path: String, _ tell: @escaping @Sendable (RecordedOutputs) throws(InputError) -> Value
    ) throws -> (alone: Value, shared: [Value?]) {
        let alone = try tell(RecordedOutputs(opening: path))
        let shared = ThreadRanks.run(3) { ranks in try? tell(RecordedOutputs(opening: path, ranks: ranks)) }
        return (alone, shared)
    }

    @Test("has the same warnings on every rank as in one process, wherever their cause is")
    func warnings() throws {
        let path = try outputs(
            labels: Array(repeating: 1, count: 12),
            confidences: [0.5, 0.6, 0.7, 0.8, 0.9, 1, 0.5, 0.6, 0.7, 0.25, 1.5, 0.125]
        ).write(to: folder)
        let found = try opened(path) { outputs throws(InputError) in outputs.warnings }
        #expect(found.alone.count == 6)
        #expect(found.alone.contains { $0.contains("exit 1 says '1' of every sample") })
        #expect(found.alone.contains { $0.contains("2 of 12") && $0.contains("the smallest is 0.125") })
        #expect(found.shared.allSatisfy { $0 == found.alone })
        // Nobody says the same of all where two ranks' parts differ, each the same in itself.
        let halves = try outputs(labels: [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]).write(
            to: folder, as: "halves.safetensors")
        #expect(try opened(halves) { outputs throws(InputError) in outputs.warnings }.shared == [[], [], []])
    }

    @Test("knows a class that only the last rank has seen")
    func classes() throws {
        let path = try outputs(labels: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 4]).write(to: folder)
        let found = try opened(path) { outputs throws(InputError) in outputs.samples.classes }
        #expect(found.alone == ["0", "1", "2", "3", "4"] && found.shared.allSatisfy { $0 == found.alone })
    }

    @Test("has the outputs of any rows on every rank")
    func rows() throws {
        let path = try outputs().write(to: folder)
        let rows = [11, 0, 5, 6]
        let found = try opened(path) { outputs throws(InputError) in
            try outputs.outputs(rows: rows, measure: .maxProbability)
        }
        #expect(
            found.alone.labels == [[1, 0, 1, 0], [1, 0, 1, 0]] && found.alone.confidences?[0] == [1, 0.5, 1, 0.5])
        #expect(found.shared.allSatisfy { $0 == found.alone })
    }

    @Test("names the row in the file where the rank that reads it finds it wrong")
    func errors() throws {
        let cases = [
            (outputs(labels: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, -1]), "label.0[11]"),
            (outputs(confidences: [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, .nan, 1]), "confidence.0, element 10"),
        ]
        for (index, (outputs, item)) in cases.enumerated() {
            let path = try outputs.write(to: folder, as: "\(index).safetensors")
            // The last of several ranks, alone with itself: the others wait for it in a job.
            let error = #expect(throws: InputError.self) {
                try RecordedOutputs(opening: path, ranks: LastOfThree())
            }
            #expect(error?.item == item)
        }
    }

    @Test("has the hash of its shards, each hashed by one rank", arguments: [1, 2, 3, 7])
    func hash(ranks: Int) throws {
        let path = try TestCache.good.write(to: folder)
        let index = folder.file("cut.safetensors.index.json")
        _ = try ShardedCache.cut(path, into: 4, index: index)
        let alone = try FeatureCache(opening: index).sha256()
        let shared = ThreadRanks.run(ranks) { ranks -> String? in
            guard let cache = try? FeatureCache(opening: index, ranks: ranks) else { return nil }
            cache.shareHash()
            return cache.sha256()
        }
        #expect(shared.allSatisfy { $0 == alone })
    }
}
