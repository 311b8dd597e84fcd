import ExitRules
import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import FeatureCache

@Suite("A cache in shards")
struct ShardedCacheTests {
    private let folder: TemporaryFolder
    private var index: String { folder.file("cut.safetensors.index.json") }

    init() throws { folder = try TemporaryFolder() }

    private func copied(_ cache: FeatureCache, exit: Int, rows: [Int32]) -> [Float] {
        let count = rows.count * cache.width(ofExit: exit)
        return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            rows.withUnsafeBufferPointer { cache.copyRows($0, ofExit: exit, into: buffer.baseAddress!) }
            filled = count
        }
    }

    /// A cache with everything that one can have, of numbers that 16 bits hold.
    private func everything() -> TestCache {
        let logits = (0..<16).map { Float($0) / 4 - 2 }
        return TestCache.good.with([
            "features.0": .floats(TestCache.features(exit: 0, width: 3), .bfloat16, shape: [8, 3]),
            "group": .integers([5, 5, 6, 6, 7, 7, 8, 8], .int64, shape: [8]),
            "subgroup": .integers([0, 1, 0, 1, 1, 0, 1, 0], .int32, shape: [8]),
            "logits.0": .floats(logits, .float32, shape: [8, 2]),
            "logits.1": .floats(logits.reversed(), .float16, shape: [8, 2]),
            "projection.0": .floats([1, 0, 0, 0, 1, 0, 0, 0, 1], .float32, shape: [3, 3]),
            "projection.1": .floats([1, 2, 3, 4, 5, 6, 7, 8], .float16, shape: [2, 4]),
            "offset.0": .floats([1, 2, 3], .float32, shape: [3]),
            "offset.1": .floats([1, 2, 3, 4], .float32, shape: [4]),
            "note": .bytes([1, 2, 3], shape: [3]),
            "weight": .floats([0, 1, 2, 3, 4, 5, 6, 7], .float32, shape: [8]),
        ])
    }

    @Test("is the cache that was cut, in every row of every tensor", arguments: [1, 2, 3, 5, 8])
    func roundTrip(shards: Int) throws {
        let path = try everything().write(to: folder)
        let one = try FeatureCache(opening: path)
        let written = try ShardedCache.cut(path, into: shards, index: index)
        #expect(written.path == index && written.sampleCount == 8 && written.shards.count == shards)
        #expect(written.shards.map(\.samples).reduce(0, +) == 8)
        #expect(
            written.shards.map(\.samples).max()! - written.shards.map(\.samples).min()! <= (8 % shards == 0 ? 0 : 1))
        let cut = try FeatureCache(opening: index)
        #expect(cut.rowShards.map(\.path) == written.shards.map(\.file))
        #expect(cut.store.names == SafetensorsOrder.wideFirst(one.store.tensors))
        for name in one.store.names {
            let (before, after) = (try one.store.tensor(name), try cut.store.tensor(name))
            #expect(before.description == after.description && before.bytes == after.bytes, "\(name)")
        }
        var samples = one.samples
        samples.path = index
        #expect(cut.samples == samples && cut.metadata == one.metadata)
        #expect(cut.projection(ofExit: 1) == one.projection(ofExit: 1) && cut.isCompressed && cut.hasLogits)
        var generator = SplitMix64(seed: 1)
        let rows = (0..<50).map { _ in Int32.random(in: 0..<8, using: &generator) }
        for exit in 0..<2 { #expect(copied(cut, exit: exit, rows: rows) == copied(one, exit: exit, rows: rows)) }
        #expect(cut.summary.rowShards == shards && one.summary.rowShards == nil)
    }

    @Test("is cut into files that are caches by themselves")
    func parts() throws {
        let path = try everything().write(to: folder)
        try ShardedCache.cut(path, into: 3, index: index)
        #expect(
            try folder.contents() == [
                "cache.safetensors", "cut-00001-of-00003.safetensors", "cut-00002-of-00003.safetensors",
                "cut-00003-of-00003.safetensors", "cut.safetensors.index.json",
            ])
        let part = try FeatureCache(opening: folder.file("cut-00002-of-00003.safetensors"))
        #expect(part.sampleCount == 3 && part.groups == [6, 6, 7] && part.storedSplit == [1, 1, 2])
        #expect(copied(part, exit: 0, rows: [0]) == [20, 21, 22] && part.isCompressed)
        #expect(part.classes == ["bad", "good"] && part.metadata["license"] == "MIT")
    }

    @Test("is cut again, and its split is stored in one file, to the bytes of the cache that was never cut")
    func again() throws {
        let path = try everything().write(to: folder)
        try ShardedCache.cut(path, into: 3, index: index)
        try ShardedCache.cut(index, into: 2, index: folder.file("again.safetensors.index.json"))
        let splits = Splits(train: [6, 7], tune: [0, 1], certify: [2, 3], test: [5])
        let files = try [path, index, folder.file("again.safetensors.index.json")].enumerated().map { place, cache in
            let file = folder.file("split-\(place).safetensors")
            try FeatureCache(opening: cache).write(to: file, splits: splits)
            return try Data(contentsOf: URL(fileURLWithPath: file))
        }
        #expect(files[0] == files[1] && files[0] == files[2])
    }

    @Test("is compressed to the bytes of the cache that was never cut")
    func compressed() throws {
        var cache = SyntheticCache()
        cache.samples = 300
        cache.splitCode = { UInt8($0 % 4) }
        let path = folder.file("cache.safetensors")
        try cache.write(to: path)
        try ShardedCache.cut(path, into: 7, index: index)
        for (source, name) in [(path, "a"), (index, "b")] {
            try FeatureCompressor(components: 3).compress(FeatureCache(opening: source), to: folder.file(name))
        }
        #expect(try sha256(ofFile: folder.file("a")) == sha256(ofFile: folder.file("b")))
    }

    @Test("may have its split whole, in a small file of its own")
    func wholeSplit() throws {
        let path = try TestCache.good.with(["split": nil]).write(to: folder)
        try ShardedCache.cut(path, into: 3, index: index)
        var writer = try SafetensorsWriter(
            creating: folder.file("split.safetensors"),
            tensors: [TensorDescription(name: "split", elementType: .uint8, shape: [8])])
        try writer.append([0, 0, 1, 1, 2, 2, 3, 3] as [UInt8], to: "split")
        try writer.finish()
        let text = try String(contentsOfFile: index, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        try folder.write(
            text.dropLast() + #", "weight_map": {"split": "split.safetensors"}}"#,
            as: "cut.safetensors.index.json")
        #expect(try FeatureCache(opening: index).storedSplit == [0, 0, 1, 1, 2, 2, 3, 3])
    }

    @Test("has exit outputs too", arguments: [true, false])
    func outputs(hasLogits: Bool) throws {
        let numbers = (0..<16).map { Float(($0 * 5) % 16) / 4 - 2 }
        let exits: [String: TestCache.Content?] =
            hasLogits
            ? [
                "logits.0": .floats(numbers, .float16, shape: [8, 2]),
                "logits.1": .floats(numbers, .float32, shape: [8, 2]),
            ]
            : [
                "label.0": .integers([0, 1, 1, 0, 0, 1, 1, 0], .int32, shape: [8]),
                "confidence.0": .floats((0..<8).map { 0.5 + Float($0) / 16 }, .float32, shape: [8]),
            ]
        let path = try TestCache.good.with(
            exits.merging(["features.0": nil, "features.1": nil]) { $1 },
            metadata: hasLogits ? [:] : ["exits": #"["only"]"#]
        ).write(to: folder)
        try ShardedCache.cut(path, into: 3, index: index)
        let (one, cut) = (try RecordedOutputs(opening: path), try RecordedOutputs(opening: index))
        let rows = [7, 0, 3, 3, 1, 5]
        for measure in ConfidenceMeasure.allCases where one.measures.contains(measure) {
            #expect(try cut.outputs(rows: rows, measure: measure) == one.outputs(rows: rows, measure: measure))
        }
        #expect(cut.measures == one.measures && cut.samples.storedSplit == one.samples.storedSplit)
        let digest = try SafetensorsStore(opening: index).sha256()
        #expect(cut.sha256 == digest && digest != one.sha256)
    }

    @Test("is opened while its values are checked later, of some rows only")
    func someValues() throws {
        var values = TestCache.features(exit: 0, width: 3)
        values[16] = .nan
        let path = try TestCache.good.with(["features.0": .floats(values, .float32, shape: [8, 3])]).write(to: folder)
        try ShardedCache.cut(path, into: 3, index: index)
        let cache = try FeatureCache(opening: index, checkValues: false)
        try cache.checkValues(rows: 0..<5)
        try cache.checkValues(rows: 6..<8)
        let error = try #require(throws: InputError.self) { try cache.checkValues(rows: 5..<6) }
        #expect(error.kind == .notFinite && error.file == folder.file("cut-00003-of-00003.safetensors"))
        #expect(error.item == "features.0, row 0, column 1 (row 5 of all shards)")
        #expect(try #require(throws: InputError.self) { try FeatureCache(opening: index) } == error)
    }

    // MARK: - Joining

    /// Two parts with rows of one cache, written by different jobs.
    private func writeParts(
        _ second: [String: TestCache.Content?] = [:], metadata: [String: String?] = [:]
    ) throws -> [String] {
        let (first, last) = (TestCache.good, TestCache.good.with(second, metadata: metadata))
        return [
            try first.write(to: folder, as: "job-1.safetensors"), try last.write(to: folder, as: "job-2.safetensors"),
        ]
    }

    private func joinError(_ parts: [String]) throws -> InputError {
        let error = try #require(throws: InputError.self) { try ShardedCache.join(parts, index: index) }
        #expect(try !folder.contents().contains("cut.safetensors.index.json"))
        #expect(!error.seen.isEmpty && !error.expected.isEmpty)
        return error
    }

    @Test("is made of the parts of several jobs, in the order given")
    func joins() throws {
        let more: [Float] = [1, 2, 3, 4, 5, 6]
        let parts = try writeParts([
            "features.0": .floats(more, .float32, shape: [2, 3]), "labels": .integers([1, 1], .int32, shape: [2]),
            "features.1": .floats([7, 8, 9, 10], .float16, shape: [2, 2]), "split": .bytes([0, 3], shape: [2]),
        ])
        let joined = try ShardedCache.join(parts.reversed(), index: index)
        #expect(joined.shards.map(\.samples) == [2, 8] && joined.sampleCount == 10)
        let cache = try FeatureCache(opening: index)
        #expect(cache.labels == [1, 1, 0, 1, 0, 1, 0, 1, 0, 1] && cache.storedSplit?.prefix(2) == [0, 3])
        #expect(copied(cache, exit: 0, rows: [1, 2]) == [4, 5, 6, 0, 1, 2])
        // Once more, over the index that is there.
        try ShardedCache.join(parts, index: index)
        #expect(try FeatureCache(opening: index).labels == [0, 1, 0, 1, 0, 1, 0, 1, 1, 1])
    }

    @Test("must have its parts in the folder of the index, each once")
    func places() throws {
        let parts = try writeParts()
        let other = try TemporaryFolder()
        let stranger = try TestCache.good.write(to: other)
        let outside = try joinError([parts[0], stranger])
        #expect(outside.kind == .mismatch && outside.file == stranger && outside.seen.contains("outside the folder"))
        let twice = try joinError([parts[0], parts[1], parts[0]])
        #expect(twice.kind == .malformed && twice.item == "row_shards[2]")
        let gone = try joinError([parts[0], folder.file("job-3.safetensors")])
        #expect(gone.kind == .unreadable && gone.file == folder.file("job-3.safetensors"))
    }

    @Test("must have parts that fit together, and a valid cache in them")
    func fitting() throws {
        let wide = try joinError(
            writeParts(["features.1": .floats([Float](repeating: 0, count: 24), .float16, shape: [8, 3])]))
        #expect(wide.kind == .mismatch && wide.item == "features.1" && wide.file == folder.file("job-2.safetensors"))
        let classes = try joinError(writeParts(metadata: ["classes": #"["good", "bad"]"#]))
        #expect(classes.kind == .mismatch && classes.item == "__metadata__.classes")
        let short = try joinError(writeParts(["split": .bytes([0], shape: [1])]))
        #expect(short.kind == .mismatch && short.item == "split" && short.seen == "1 rows")
        let label = try joinError(writeParts(["labels": .integers([0, 1, 0, 2, 0, 1, 0, 1], .int32, shape: [8])]))
        #expect(label.kind == .outOfRange && label.file == folder.file("job-2.safetensors"))
        #expect(label.item == "labels[3] (row 11 of all shards)")
        let code = try joinError(writeParts(["split": .bytes([0, 0, 0, 0, 0, 0, 9, 0], shape: [8])]))
        #expect(code.kind == .outOfRange && code.item == "split[6] (row 14 of all shards)")
        let large = try joinError(
            writeParts(["labels": .integers([0, 1, 0, -1, 0, 1, 0, 1], .int32, shape: [8])]))
        #expect(large.kind == .outOfRange && large.seen == "-1")
    }

    @Test("must have the same projections in all parts")
    func projections() throws {
        let cache = everything()
        let first = try cache.write(to: folder, as: "job-1.safetensors")
        let second = try cache.with(["offset.1": .floats([1, 2, 3, 5], .float32, shape: [4])]).write(
            to: folder, as: "job-2.safetensors")
        let error = try joinError([first, second])
        #expect(error.kind == .mismatch && error.item == "offset.1" && error.file == second)
        // So must those of an index from elsewhere, when values are checked.
        let store = try SafetensorsStore(
            rowShards: ["job-1.safetensors", "job-2.safetensors"],
            whole: Dictionary(
                uniqueKeysWithValues: ["note", "offset.0", "offset.1", "projection.0", "projection.1"].map {
                    ($0, "job-1.safetensors")
                }), index: index)
        try store.writeIndex()
        #expect(try FeatureCache(opening: index, checkValues: false).sampleCount == 16)
        #expect(try #require(throws: InputError.self) { try FeatureCache(opening: index) } == error)
    }

    // MARK: - Cutting, and what it refuses

    private func cutError(_ path: String, into count: Int = 2) throws -> InputError {
        let before = try folder.contents()
        let error = try #require(throws: InputError.self) { try ShardedCache.cut(path, into: count, index: index) }
        #expect(try folder.contents() == before)
        #expect(!error.seen.isEmpty && !error.expected.isEmpty)
        return error
    }

    @Test("has a sample in each shard, at least")
    func tooManyShards() throws {
        let error = try cutError(TestCache.good.write(to: folder), into: 9)
        #expect(error.kind == .outOfRange && error.seen == "9 shards of 8 samples")
    }

    @Test("is not written over another, nor over the files that it is cut from")
    func inTheWay() throws {
        let path = try TestCache.good.write(to: folder, as: "cut-00001-of-00002.safetensors")
        let own = try cutError(path)
        #expect(own.kind == .unwritable && own.file == path && own.seen.contains("is to be cut"))
        try folder.write("{}", as: "cut.safetensors.index.json")
        let there = try cutError(path)
        #expect(there.kind == .unwritable && there.file == index)
    }

    @Test("is made where an interrupted run left parts without an index")
    func leftovers() throws {
        let path = try TestCache.good.write(to: folder)
        try folder.write("half of something", as: "cut-00002-of-00002.safetensors")
        try ShardedCache.cut(path, into: 2, index: index)
        #expect(try FeatureCache(opening: index).sampleCount == 8)
    }

    @Test("leaves nothing when it cannot be completed")
    func allOrNothing() throws {
        let path = try TestCache.good.write(to: folder)
        // A folder stands where the second part should.
        try FileManager.default.createDirectory(
            atPath: folder.file("cut-00002-of-00002.safetensors"), withIntermediateDirectories: false)
        let error = try cutError(path)
        #expect(error.kind == .unwritable && error.file == folder.file("cut-00002-of-00002.safetensors"))
        let missing = try cutError(TestCache.good.with(["labels": nil]).write(to: folder))
        #expect(missing.kind == .missing && missing.item == "labels")
        let none = try cutError(TestCache.good.with(["features.0": nil, "features.1": nil]).write(to: folder))
        #expect(none.kind == .missing && none.item == "features.0")
    }
}

/// The order that a writer gives to tensors.
private enum SafetensorsOrder {
    static func wideFirst(_ tensors: [TensorView]) -> [String] {
        TensorDescription.wideFirst(tensors.map(\.description)).map(\.name)
    }
}
