import Foundation
import Safetensors
import TestSupport
import Testing

@testable import FeatureCache

@Suite("Opening a feature cache")
struct FeatureCacheOpeningTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func rows(_ cache: FeatureCache, exit: Int, _ rows: [Int32]) -> [Float] {
        var target = [Float](repeating: -1, count: rows.count * cache.width(ofExit: exit) + 1)
        rows.withUnsafeBufferPointer { cache.copyRows($0, ofExit: exit, into: &target) }
        #expect(target.last == -1, "nothing is written past the rows")
        return Array(target.dropLast())
    }

    @Test("shows what the file holds")
    func good() throws {
        let path = try TestCache.good.write(to: folder)
        let cache = try FeatureCache(opening: path)
        #expect(cache.sampleCount == 8 && cache.exitCount == 2)
        #expect(cache.width(ofExit: 0) == 3 && cache.width(ofExit: 1) == 2)
        #expect(cache.labels == [0, 1, 0, 1, 0, 1, 0, 1])
        #expect(cache.classes == ["bad", "good"] && cache.exitNames == ["early", "late"])
        #expect(cache.storedSplit == [0, 0, 1, 1, 2, 2, 3, 3] && cache.groups == nil)
        #expect(!cache.hasLogits && !cache.isCompressed && cache.projection(ofExit: 0) == nil)
        #expect(cache.metadata["license"] == "MIT" && cache.path == path)
        #expect(try cache.sha256() == sha256(ofFile: path))
    }

    @Test("has numbers to predict instead of labels, and says what is wrong with them")
    func targets() throws {
        func opened(_ targets: TestCache.Content) throws -> FeatureCache {
            try FeatureCache(opening: TestCache.good.with(["labels": nil, "targets": targets]).write(to: folder))
        }
        let numbers: [Float] = [0.5, -1, 2, 3, 4, 5, 6, 7.25]
        let cache = try opened(.floats(numbers, .float32, shape: [8]))
        #expect(cache.targets == numbers)
        #expect(cache.classes == ["number"] && cache.labels == Array(repeating: 0, count: 8))
        #expect(try FeatureCache(opening: TestCache.good.write(to: folder)).targets == nil)

        let half = try #require(throws: InputError.self) { try opened(.floats(numbers, .float16, shape: [8])) }
        #expect(half.kind == .mismatch && half.item == "targets" && half.expected == "F32")
        let short = try #require(throws: InputError.self) {
            try opened(.floats(Array(numbers.dropLast()), .float32, shape: [7]))
        }
        #expect(short.kind == .mismatch && short.expected.contains("[8]"))
        let infinite = try #require(throws: InputError.self) {
            try opened(.floats(numbers.map { $0 == 3 ? .infinity : $0 }, .float32, shape: [8]))
        }
        #expect(infinite.kind == .notFinite && infinite.item == "targets, element 3")
    }

    @Test(
        "copies rows in any order, as Float32, from every type", arguments: [ElementType.float32, .float16, .bfloat16])
    func copiesRows(type: ElementType) throws {
        // Numbers that all three types hold exactly.
        let values = (0..<40).map { Float($0) - 20 }
        let cache = try FeatureCache(
            opening: TestCache.good.with(["features.1": .floats(values, type, shape: [8, 5])]).write(to: folder))
        let expected = [7, 0, 0, 3].flatMap { (row: Int) -> ArraySlice<Float> in values[(row * 5)..<(row * 5 + 5)] }
        #expect(rows(cache, exit: 1, [7, 0, 0, 3]) == expected)
        #expect(rows(cache, exit: 0, [2]) == [20, 21, 22])
        #expect(rows(cache, exit: 0, []) == [])
    }

    @Test("reads a file whose data lie at odd addresses")
    func unaligned() throws {
        let aligned = try Data(contentsOf: URL(fileURLWithPath: TestCache.good.write(to: folder)))
        let length = Int(aligned[0]) | Int(aligned[1]) << 8
        // One more blank after the header moves all data by a byte.
        var shifted = withUnsafeBytes(of: UInt64(length + 1).littleEndian) { Data($0) }
        shifted += aligned[8..<(8 + length)] + Data(" ".utf8) + aligned[(8 + length)...]
        let cache = try FeatureCache(opening: folder.write(shifted, as: "odd.safetensors"))
        #expect(cache.labels == [0, 1, 0, 1, 0, 1, 0, 1])
        #expect(rows(cache, exit: 0, [1, 7]) == [10, 11, 12, 70, 71, 72])
        #expect(rows(cache, exit: 1, [1, 7]) == [110, 111, 170, 171])
    }

    @Test("names classes and exits itself when the metadata do not")
    func unnamed() throws {
        let labels = TestCache.Content.integers([0, 3, 0, 1, 0, 1, 0, 1], .int64, shape: [8])
        let cache = try FeatureCache(
            opening: TestCache.good.with(["labels": labels], metadata: ["classes": nil, "exits": nil]).write(to: folder)
        )
        #expect(cache.classes == ["0", "1", "2", "3"] && cache.exitNames == ["exit 0", "exit 1"])
    }

    @Test("reads groups, logits and a projection")
    func optionalParts() throws {
        let cache = try FeatureCache(
            opening: TestCache.good.with([
                "group": .integers([5, 5, -1, -1, 2, 2, 0, 0], .int32, shape: [8]),
                "logits.0": .floats((0..<16).map { Float($0) }, .float32, shape: [8, 2]),
                "logits.1": .floats((0..<16).map { Float(-$0) }, .float16, shape: [8, 2]),
                "projection.0": .floats([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], .float16, shape: [3, 4]),
                "offset.0": .floats([0.1, 0.2, 0.3, 0.4], .float32, shape: [4]),
                "projection.1": .floats([1, 0, 0, 1], .float16, shape: [2, 2]),
                "offset.1": .floats([0, 0], .float32, shape: [2]),
            ]).write(to: folder))
        #expect(cache.groups == [5, 5, -1, -1, 2, 2, 0, 0])
        #expect(cache.hasLogits && cache.isCompressed)
        var logits = [Float](repeating: 0, count: 4)
        [Int32(7), 1].withUnsafeBufferPointer { cache.copyLogits($0, ofExit: 1, into: &logits) }
        #expect(logits == [-14, -15, -2, -3])
        let projection = try #require(cache.projection(ofExit: 0))
        #expect(projection.fullWidth == 4 && projection.components == 3)
        #expect(projection.matrix == (1...12).map { Float($0) } && projection.offset == [0.1, 0.2, 0.3, 0.4])
    }

    @Test("reads subgroups, with their names from the metadata or numbered")
    func subgroups() throws {
        let subgroups = TestCache.Content.integers([0, 1, 2, 0, 1, 2, 0, 1], .int32, shape: [8])
        let named = TestCache.good.with(["subgroup": subgroups], metadata: ["subgroups": #"["de", "en", "fr", "it"]"#])
        let cache = try FeatureCache(opening: named.write(to: folder))
        #expect(cache.subgroups == [0, 1, 2, 0, 1, 2, 0, 1] && cache.subgroupNames == ["de", "en", "fr", "it"])
        let unnamed = try FeatureCache(opening: TestCache.good.with(["subgroup": subgroups]).write(to: folder))
        #expect(unnamed.subgroups == cache.subgroups && unnamed.subgroupNames == ["0", "1", "2"])
        let without = try FeatureCache(opening: TestCache.good.write(to: folder))
        #expect(without.subgroups == nil && without.subgroupNames.isEmpty)
    }

    @Test("reads shards as one cache")
    func shards() throws {
        try TestCache(tensors: ["features.0": TestCache.good.tensors["features.0"]!], metadata: TestCache.good.metadata)
            .write(to: folder, as: "a.safetensors")
        try TestCache.good.with(["features.0": nil]).write(to: folder, as: "b.safetensors")
        let index = try folder.write(
            """
            {"weight_map": {"features.0": "a.safetensors", "features.1": "b.safetensors", "labels": "b.safetensors",
             "split": "b.safetensors"}}
            """, as: "cache.safetensors.index.json")
        let cache = try FeatureCache(opening: index)
        #expect(rows(cache, exit: 0, [3]) == [30, 31, 32] && rows(cache, exit: 1, [3]) == [130, 131])
    }

    /// A cache that must be refused.
    struct BadCache: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var changes: [String: TestCache.Content?] = [:]
        var metadata: [String: String?] = [:]
        var kind: InputError.Kind
        var item: String
        var mentions: [String]

        init(
            _ testDescription: String, _ changes: [String: TestCache.Content?] = [:], metadata: [String: String?] = [:],
            kind: InputError.Kind, item: String, mentions: String...
        ) {
            self.testDescription = testDescription
            self.changes = changes
            self.metadata = metadata
            self.kind = kind
            self.item = item
            self.mentions = mentions
        }
    }

    private static func features(_ shape: [Int], type: ElementType = .float32) -> TestCache.Content {
        .floats([Float](repeating: 1, count: shape.reduce(1, *)), type, shape: shape)
    }

    private static func withOne(_ value: Float, at index: Int, type: ElementType) -> TestCache.Content {
        var values = TestCache.features(exit: 0, width: 3)
        values[index] = value
        return .floats(values, type, shape: [8, 3])
    }

    static let badCaches: [BadCache] = [
        BadCache("no features", ["features.0": nil, "features.1": nil], kind: .missing, item: "features.0"),
        BadCache(
            "an exit left out", ["features.1": nil, "features.2": features([8, 2])], kind: .missing, item: "features.1",
            mentions: "'features.2'"),
        BadCache(
            "an exit with a name that is no number", ["features.x": features([8, 2])], kind: .missing,
            item: "features.2", mentions: "'features.x'"),
        BadCache(
            "features of three dimensions", ["features.1": features([8, 2, 2])], kind: .mismatch, item: "features.1",
            mentions: "[8, 2, 2]", "[samples, width]"),
        BadCache(
            "features of width 0", ["features.1": features([8, 0])], kind: .mismatch, item: "features.1",
            mentions: "[8, 0]"),
        BadCache(
            "no samples", ["features.0": features([0, 3])], kind: .mismatch, item: "features.0", mentions: "[0, 3]"),
        BadCache(
            "fewer rows at one exit", ["features.1": features([7, 2])], kind: .mismatch, item: "features.1",
            mentions: "7 rows", "8, as in features.0"),
        BadCache(
            "integer features", ["features.1": .integers([Int32](repeating: 1, count: 16), .int32, shape: [8, 2])],
            kind: .mismatch, item: "features.1", mentions: "I32", "F32, F16 or BF16"),
        BadCache("no labels", ["labels": nil], kind: .missing, item: "labels"),
        BadCache(
            "misspelt labels", ["labels": nil, "label": .integers([0], .int32, shape: [1])], kind: .missing,
            item: "labels", mentions: "Did you mean label?"),
        BadCache(
            "too few labels", ["labels": .integers([0, 1], .int32, shape: [2])], kind: .mismatch, item: "labels",
            mentions: "[2]", "[8]"),
        BadCache(
            "labels in a column", ["labels": .integers([0, 1, 0, 1, 0, 1, 0, 1], .int32, shape: [8, 1])],
            kind: .mismatch, item: "labels", mentions: "[8, 1]"),
        BadCache(
            "labels that are no integers", ["labels": features([8])], kind: .mismatch, item: "labels",
            mentions: "F32", "I32 or I64"),
        BadCache(
            "a label without a class", ["labels": .integers([0, 1, 0, 1, 2, 1, 0, 1], .int32, shape: [8])],
            kind: .outOfRange, item: "labels[4]", mentions: ": 2;", "names 2 classes"),
        BadCache(
            "a negative label", ["labels": .integers([0, 1, -1, 1, 0, 1, 0, 1], .int32, shape: [8])], kind: .outOfRange,
            item: "labels[2]", mentions: "-1"),
        BadCache(
            "a huge label without names", ["labels": .integers([0, .max, 0, 1, 0, 1, 0, 1], .int32, shape: [8])],
            metadata: ["classes": nil], kind: .outOfRange, item: "labels[1]", mentions: "2147483647"),
        BadCache(
            "an unknown split code", ["split": .bytes([0, 1, 2, 3, 255, 4, 0, 0], shape: [8])], kind: .outOfRange,
            item: "split[5]", mentions: "code 4"),
        BadCache(
            "a split of another type", ["split": .integers([0, 0, 1, 1, 2, 2, 3, 3], .int32, shape: [8])],
            kind: .mismatch, item: "split", mentions: "I32", "U8"),
        BadCache("a split of another length", ["split": .bytes([0], shape: [1])], kind: .mismatch, item: "split"),
        BadCache(
            "groups of another length", ["group": .integers([1], .int32, shape: [1])], kind: .mismatch, item: "group"),
        BadCache(
            "subgroups of another length", ["subgroup": .integers([1], .int32, shape: [1])], kind: .mismatch,
            item: "subgroup"),
        BadCache(
            "a negative subgroup", ["subgroup": .integers([0, 0, 0, -1, 0, 0, 0, 0], .int32, shape: [8])],
            kind: .outOfRange, item: "subgroup[3]", mentions: "-1"),
        BadCache(
            "a subgroup without a name", ["subgroup": .integers([0, 0, 0, 0, 0, 2, 0, 0], .int32, shape: [8])],
            metadata: ["subgroups": #"["a", "b"]"#], kind: .outOfRange, item: "subgroup[5]",
            mentions: "names 2 subgroups"),
        BadCache(
            "one subgroup's name twice", ["subgroup": .integers([0, 1, 0, 1, 0, 1, 0, 1], .int32, shape: [8])],
            metadata: ["subgroups": #"["a", "a"]"#], kind: .malformed, item: "metadata 'subgroups'", mentions: "twice"),
        BadCache(
            "classes that are no JSON", metadata: ["classes": "bad, good"], kind: .malformed,
            item: "metadata 'classes'",
            mentions: "'bad, good'", "JSON array"),
        BadCache(
            "one class name twice", metadata: ["classes": #"["a", "a"]"#], kind: .malformed, item: "metadata 'classes'",
            mentions: "twice"),
        BadCache(
            "no class", metadata: ["classes": "[]"], kind: .malformed, item: "metadata 'classes'", mentions: "empty"),
        BadCache(
            "names for other exits", metadata: ["exits": #"["only"]"#], kind: .mismatch, item: "metadata 'exits'",
            mentions: "1 names", "2, one for each"),
        BadCache(
            "logits of one exit only", ["logits.0": features([8, 2])], kind: .mismatch, item: "logits.<i>",
            mentions: "1 tensors"),
        BadCache(
            "logits of other classes", ["logits.0": features([8, 2]), "logits.1": features([8, 3])], kind: .mismatch,
            item: "logits.1", mentions: "[8, 3]", "[8, 2]"),
        BadCache(
            "a projection of one exit only", ["projection.0": features([3, 9]), "offset.0": features([9])],
            kind: .mismatch, item: "projection.<i>"),
        BadCache(
            "a projection to another width",
            [
                "projection.0": features([2, 9]), "offset.0": features([9]), "projection.1": features([2, 9]),
                "offset.1": features([9]),
            ], kind: .mismatch, item: "projection.0", mentions: "[2, 9]", "[3, width"),
        BadCache(
            "an offset of another width",
            [
                "projection.0": features([3, 9]), "offset.0": features([9]), "projection.1": features([2, 9]),
                "offset.1": features([8]),
            ], kind: .mismatch, item: "offset.1", mentions: "[8]", "[9]"),
        BadCache(
            "a NaN in F32", ["features.0": withOne(.nan, at: 22, type: .float32)], kind: .notFinite,
            item: "features.0, row 7, column 1", mentions: "nan"),
        BadCache(
            "an infinity in F16", ["features.0": withOne(-.infinity, at: 5, type: .float16)], kind: .notFinite,
            item: "features.0, row 1, column 2", mentions: "-inf"),
        BadCache(
            "a NaN in BF16", ["features.0": withOne(.nan, at: 0, type: .bfloat16)], kind: .notFinite,
            item: "features.0, row 0, column 0"),
    ]

    @Test("refuses a cache with", arguments: badCaches)
    func refuses(_ bad: BadCache) throws {
        let path = try TestCache.good.with(bad.changes, metadata: bad.metadata).write(to: folder)
        let error = try #require(throws: InputError.self) { try FeatureCache(opening: path) }
        #expect(error.kind == bad.kind && error.file == path && error.item == bad.item, "\(error)")
        for text in bad.mentions { #expect(error.description.contains(text), "\(error)") }
    }

    @Test("leaves the values unread when asked to, but not the projection")
    func uncheckedValues() throws {
        let features = TestCache.good.with(["features.0": Self.withOne(.nan, at: 3, type: .float32)])
        #expect(throws: Never.self) { try FeatureCache(opening: features.write(to: folder), checkValues: false) }
        let projection = TestCache.good.with([
            "projection.0": Self.features([3, 1]), "offset.0": .floats([.nan], .float32, shape: [1]),
            "projection.1": Self.features([2, 1]), "offset.1": Self.features([1]),
        ])
        let error = try #require(throws: InputError.self) {
            try FeatureCache(opening: projection.write(to: folder), checkValues: false)
        }
        #expect(error.kind == .notFinite && error.item == "offset.0, element 0")
    }
}

@Suite("What there is to tell of a cache")
struct FeatureCacheSummaryTests {
    @Test("counts samples by class and split, and names what it does not know")
    func summary() throws {
        let folder = try TemporaryFolder()
        let path = try TestCache.good.with([
            "extra": .bytes([1], shape: [1]), "subgroup": .integers([0, 1, 0, 1, 0, 1, 0, 1], .int32, shape: [8]),
            "split": .bytes([0, 0, 1, 1, 2, 3, 3, 255], shape: [8]),
            "group": .integers([5, 5, -1, -1, 2, 2, 0, 0], .int32, shape: [8]),
        ]).write(to: folder)
        let summary = try FeatureCache(opening: path).summary
        #expect(summary.classes.map(\.name) == ["bad", "good"] && summary.classes.map(\.samples) == [4, 4])
        #expect(summary.splits.map(\.name) == ["train", "tune", "certify", "test", "none"])
        #expect(summary.splits.map(\.samples) == [2, 2, 1, 2, 1])
        #expect(summary.groupCount == 4 && summary.sampleCount == 8)
        #expect(summary.exits.map(\.type) == ["F32", "F16"] && summary.exits.map(\.width) == [3, 2])
        #expect(summary.tensors.filter { !$0.isKnown }.map(\.name) == ["extra"])
        #expect(try summary.byteCount == Data(contentsOf: URL(fileURLWithPath: path)).count)
        #expect(try JSONDecoder().decode(FeatureCacheSummary.self, from: JSONEncoder().encode(summary)) == summary)
    }
}
