import ExitRules
import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import FeatureCache

/// Exit outputs of 6 samples and 2 exits, made by hand.
private enum TestOutputs {
    static let truth: [Int32] = [0, 1, 2, 2, 1, 0]
    static let said: [[Int32]] = [[0, 1, 1, 2, 0, 0], [0, 1, 2, 2, 1, 2]]
    static let confidences: [[Float]] = [[0.5, 0.75, 0.375, 1, 0.4375, 0.5], [0.625, 0.75, 0.875, 1, 0.5, 0.625]]

    /// Labels and confidences.
    static let recorded = TestCache(
        tensors: [
            "labels": .integers(truth, .int32, shape: [6]),
            "label.0": .integers(said[0], .int32, shape: [6]),
            "label.1": .integers(said[1], .int64, shape: [6]),
            "confidence.0": .floats(confidences[0], .float32, shape: [6]),
            "confidence.1": .floats(confidences[1], .float16, shape: [6]),
        ], metadata: ["classes": #"["ant", "bee", "cat"]"#])

    /// [exits][samples * 3]
    static let logitValues: [[Float]] = {
        var generator = SplitMix64(seed: 3)
        return (0..<2).map { _ in (0..<18).map { _ in Float.random(in: -4...4, using: &generator) } }
    }()

    /// Logits of three classes.
    static let logits = TestCache(
        tensors: [
            "labels": .integers(truth, .int32, shape: [6]),
            "logits.0": .floats(logitValues[0], .float32, shape: [6, 3]),
            "logits.1": .floats(logitValues[1], .float32, shape: [6, 3]),
        ], metadata: ["classes": #"["ant", "bee", "cat"]"#])

    /// What one row of logits stands for.
    static func prediction(exit: Int, sample: Int, temperature: Double = 1, measure: ConfidenceMeasure) -> Prediction {
        logitValues[exit][(sample * 3)..<(sample * 3 + 3)].withUnsafeBufferPointer {
            Prediction(logits: $0, temperature: temperature, measure: measure)
        }
    }
}

@Suite("Exit outputs in safetensors")
struct RecordedOutputsSafetensorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ outputs: TestCache) throws -> RecordedOutputs {
        try RecordedOutputs(opening: outputs.write(to: folder, as: "outputs.safetensors"))
    }

    private let all = Array(0..<6)

    // MARK: Labels and confidences

    @Test("have labels and confidences")
    func recorded() throws {
        let outputs = try open(TestOutputs.recorded)
        #expect(outputs.samples.path == folder.file("outputs.safetensors"))
        #expect(outputs.samples.labels == TestOutputs.truth && outputs.samples.classes == ["ant", "bee", "cat"])
        #expect(outputs.samples.exitNames == ["exit 0", "exit 1"] && !outputs.samples.trainsHeads)
        #expect(outputs.samples.storedSplit == nil && outputs.samples.groups == nil)
        #expect(outputs.samples.subgroups == nil && outputs.samples.subgroupNames.isEmpty)
        #expect(outputs.measures == [.maxProbability] && outputs.warnings.isEmpty)
        #expect(try outputs.sha256 == sha256(ofFile: outputs.samples.path))
        let expected = ExitOutputs(
            truth: TestOutputs.truth, labels: TestOutputs.said, confidences: TestOutputs.confidences)
        #expect(try outputs.outputs(rows: all, measure: .maxProbability) == expected)
        #expect(try outputs.outputs(rows: [5, 0, 5], measure: .maxProbability) == expected.selecting([5, 0, 5]))
        #expect(try outputs.outputs(rows: [], measure: .maxProbability).sampleCount == 0)
    }

    @Test("may have margins, and entropies in nats, of which 1 - H / ln C is the confidence")
    func otherMeasures() throws {
        let margins: [Float] = [0, 0.25, 0.5, 0.125, 1, 0.0625]
        let entropies: [Float] = [0, 0.5, 0.75, 1, 0.25, 0.125]
        let outputs = try open(
            TestOutputs.recorded.with([
                "confidence.0": nil, "confidence.1": nil,
                "margin.0": .floats(margins, .float32, shape: [6]),
                "margin.1": .floats(margins.reversed(), .bfloat16, shape: [6]),
                "entropy.0": .floats(entropies, .float32, shape: [6]),
                "entropy.1": .floats(entropies.reversed(), .float16, shape: [6]),
            ]))
        #expect(outputs.measures == [.margin, .entropy] && outputs.warnings.isEmpty)
        #expect(try outputs.outputs(rows: all, measure: .margin).confidences == [margins, margins.reversed()])
        let scaled = entropies.map { Float(1 - Double($0) / log(3.0)) }
        #expect(try outputs.outputs(rows: all, measure: .entropy).confidences == [scaled, scaled.reversed()])
        let error = try #require(throws: InputError.self) { try outputs.outputs(rows: all, measure: .maxProbability) }
        #expect(error.kind == .missing && error.item == "max-probability" && error.seen == "margin, entropy alone")
    }

    @Test("may be labels alone")
    func labelsAlone() throws {
        let outputs = try open(TestOutputs.recorded.with(["confidence.0": nil, "confidence.1": nil]))
        #expect(outputs.measures.isEmpty)
        let read = try outputs.outputs(rows: all, measure: nil)
        #expect(read.confidences == nil && read.labels == TestOutputs.said)
        let error = try #require(throws: InputError.self) { try outputs.require(.margin) }
        #expect(error.kind == .missing && error.item == "margin" && error.seen == "labels without any confidence")
        #expect(error.advice?.contains("patience") == true)
    }

    @Test("cannot take temperatures where confidences are recorded")
    func recordedTemperatures() throws {
        let outputs = try open(TestOutputs.recorded)
        let error = try #require(throws: InputError.self) {
            try outputs.outputs(rows: all, measure: .maxProbability, temperatures: [0.5, 1])
        }
        #expect(error.kind == .unsupported && error.file == outputs.samples.path && error.seen.contains("0.5"))
        #expect(error.expected == "logits" && error.advice?.contains("record logits") == true)
        let read = try outputs.outputs(rows: all, measure: .maxProbability, temperatures: [1, 1])
        #expect(read.confidences == TestOutputs.confidences)
    }

    @Test("know classes that exits alone name, and that the metadata name")
    func unnamedClasses() throws {
        let wider = TestOutputs.recorded.with(
            ["label.1": .integers([0, 1, 4, 2, 1, 2], .int32, shape: [6])], metadata: ["classes": nil])
        #expect(try open(wider).samples.classes == ["0", "1", "2", "3", "4"])
        let narrow = TestOutputs.recorded.with([:], metadata: ["classes": nil, "exits": #"["early", "late"]"#])
        let outputs = try open(narrow)
        #expect(outputs.samples.classes == ["0", "1", "2"] && outputs.samples.exitNames == ["early", "late"])
    }

    // MARK: Logits

    @Test("have the labels and confidences of their logits", arguments: ConfidenceMeasure.allCases)
    func logits(measure: ConfidenceMeasure) throws {
        let outputs = try open(TestOutputs.logits)
        #expect(outputs.measures == Set(ConfidenceMeasure.allCases) && outputs.warnings.isEmpty)
        for temperatures in [nil, [1, 1], [0.5, 2.75]] {
            for threads in [1, 3] {
                let read = try outputs.outputs(
                    rows: all, measure: measure, temperatures: temperatures, threads: threads)
                #expect(read.truth == TestOutputs.truth && read.exitCount == 2)
                for exit in 0..<2 {
                    for sample in all {
                        let expected = TestOutputs.prediction(
                            exit: exit, sample: sample, temperature: temperatures?[exit] ?? 1, measure: measure)
                        #expect(read.prediction(exit: exit, sample: sample) == expected)
                    }
                }
            }
        }
        let some = try outputs.outputs(rows: [4, 1, 4], measure: measure)
        #expect(try some == outputs.outputs(rows: all, measure: measure).selecting([4, 1, 4]))
        #expect(try outputs.outputs(rows: all, measure: nil).confidences == nil)
    }

    @Test("have the first of several largest logits, and read every type", arguments: [ElementType.float16, .bfloat16])
    func ties(type: ElementType) throws {
        let values: [Float] = [1, 1, 0, 0, 2, 2, 3, 3, 3, -1, -1, -2, 0, 0, 0.5, 4, -4, 4]
        let outputs = try open(
            TestOutputs.logits.with([
                "logits.0": .floats(values, type, shape: [6, 3]),
                "logits.1": .floats(values.reversed(), type, shape: [6, 3]),
            ]))
        let read = try outputs.outputs(rows: all, measure: .margin)
        #expect(read.labels == [[0, 1, 0, 0, 2, 0], [0, 0, 1, 0, 0, 1]])
        #expect(read.confidences?[0].prefix(4) == [0, 0, 0, 0])
    }

    @Test("read more rows than a block holds, in any order")
    func manyRows() throws {
        let count = 2500
        let values = (0..<(2 * count)).map { Float($0 % 2 == 0 ? 0 : $0 % 7) - 2.5 }
        let path = try TestCache(
            tensors: [
                "labels": .integers((0..<count).map { Int32($0 % 2) }, .int32, shape: [count]),
                "logits.0": .floats(values, .float32, shape: [count, 2]),
            ], metadata: [:]
        ).write(to: folder)
        let outputs = try RecordedOutputs(opening: path)
        let read = try outputs.outputs(rows: (0..<count).reversed(), measure: .maxProbability)
        for (place, sample) in (0..<count).reversed().enumerated() {
            let expected = values[(2 * sample)..<(2 * sample + 2)].withUnsafeBufferPointer { Prediction(logits: $0) }
            #expect(read.prediction(exit: 0, sample: place) == expected)
        }
    }

    @Test("have as many classes as logits where none are named")
    func unnamedLogits() throws {
        let labels = TestCache.Content.integers([0, 1, 0, 0, 1, 0], .int32, shape: [6])
        let outputs = try open(TestOutputs.logits.with(["labels": labels], metadata: ["classes": nil]))
        #expect(outputs.samples.classes == ["0", "1", "2"])
    }

    @Test("may be a feature cache with logits")
    func cache() throws {
        let logits: [Float] = (0..<16).map { Float($0 * $0 % 7) }
        let path = try TestCache.good.with([
            "logits.0": .floats(logits, .float32, shape: [8, 2]),
            "logits.1": .floats(logits.reversed(), .float16, shape: [8, 2]),
        ]).write(to: folder)
        let (outputs, cache) = (try RecordedOutputs(opening: path), try FeatureCache(opening: path))
        #expect(outputs.samples.labels == cache.labels && outputs.samples.classes == cache.classes)
        #expect(outputs.samples.exitNames == cache.exitNames && outputs.samples.storedSplit == cache.storedSplit)
        #expect(outputs.sha256 == cache.sha256())
        #expect(!outputs.samples.trainsHeads && cache.samples.trainsHeads)
    }

    // MARK: Splits, groups and subgroups

    @Test("may have splits, groups and subgroups", arguments: [TestOutputs.recorded, TestOutputs.logits])
    func otherParts(outputs: TestCache) throws {
        let changes: [String: TestCache.Content?] = [
            "split": .bytes([1, 2, 3, 255, 0, 1], shape: [6]),
            "group": .integers([7, 7, -1, 2, 2, 0], .int64, shape: [6]),
            "subgroup": .integers([0, 1, 0, 1, 2, 0], .int32, shape: [6]),
        ]
        let opened = try open(outputs.with(changes))
        #expect(opened.samples.storedSplit == [1, 2, 3, 255, 0, 1])
        #expect(opened.samples.groups == [7, 7, -1, 2, 2, 0])
        #expect(opened.samples.subgroups == [0, 1, 0, 1, 2, 0] && opened.samples.subgroupNames == ["0", "1", "2"])
        let read = try opened.outputs(rows: [4, 0], measure: nil)
        #expect(read.groups == [2, 7] && read.subgroups == [2, 0])
        let named = try open(outputs.with(changes, metadata: ["subgroups": #"["de", "en", "fr", "it"]"#]))
        #expect(named.samples.subgroupNames == ["de", "en", "fr", "it"])
    }

    // MARK: What is unusual

    @Test("warn of what no softmax gives, and use it as it is")
    func warnings() throws {
        let values: [Float] = [0.25, 0.5, 1.5, 1, 1, 1]
        let outputs = try open(
            TestOutputs.recorded.with([
                "label.1": .integers([2, 2, 2, 2, 2, 2], .int32, shape: [6]),
                "confidence.0": .floats(values, .float32, shape: [6]),
            ]))
        let path = outputs.samples.path
        #expect(outputs.warnings.count == 3 && outputs.warnings.allSatisfy { $0.hasPrefix("\(path): exit ") })
        #expect(outputs.warnings.contains("\(path): exit 1 says 'cat' of every sample"))
        #expect(outputs.warnings.contains { $0.contains("exit 0: 1 of 6") && $0.contains("below 1/3") })
        #expect(
            outputs.warnings.contains { $0.contains("exit 0: 1 of 6") && $0.contains("above 1 (the largest is 1.5)") })
        #expect(try outputs.outputs(rows: all, measure: .maxProbability).confidences?[0] == values)
    }

    @Test("warn of logits that always give the same label")
    func oneLabelOfLogits() throws {
        let values: [Float] = (0..<18).map { $0 % 3 == 1 ? 5 : 0 }
        let outputs = try open(TestOutputs.logits.with(["logits.0": .floats(values, .float32, shape: [6, 3])]))
        #expect(outputs.warnings == ["\(outputs.samples.path): exit 0 says 'bee' of every sample"])
    }

    // MARK: What is refused

    /// Exit outputs that must be refused.
    struct BadOutputs: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var outputs: TestCache
        var kind: InputError.Kind
        var item: String
        var mentions: [String]

        init(
            _ testDescription: String, _ outputs: TestCache, _ changes: [String: TestCache.Content?],
            metadata: [String: String?] = [:], kind: InputError.Kind, item: String, mentions: String...
        ) {
            self.testDescription = testDescription
            self.outputs = outputs.with(changes, metadata: metadata)
            self.kind = kind
            self.item = item
            self.mentions = mentions
        }
    }

    private static func floats(_ shape: [Int], _ value: Float = 0.5, at index: Int = 0) -> TestCache.Content {
        var values = [Float](repeating: 0.5, count: shape.reduce(1, *))
        values[index] = value
        return .floats(values, .float32, shape: shape)
    }

    private static func labels(_ values: Int32...) -> TestCache.Content {
        .integers(values, .int32, shape: [values.count])
    }

    private static let recorded = TestOutputs.recorded
    private static let logits = TestOutputs.logits

    static let badOutputs: [BadOutputs] = [
        BadOutputs("no labels of exits", recorded, ["label.0": nil, "label.1": nil], kind: .missing, item: "label.0"),
        BadOutputs(
            "an exit left out", recorded, ["label.0": nil], kind: .missing, item: "label.0",
            mentions: "'label.1'", "one for each exit, none left out"),
        BadOutputs("no truth", recorded, ["labels": nil], kind: .missing, item: "labels"),
        BadOutputs(
            "fewer labels at one exit", recorded, ["label.1": labels(0, 1)], kind: .mismatch, item: "label.1",
            mentions: "[2]", "[6], one for each row of label.0"),
        BadOutputs(
            "labels in a column", recorded, ["label.1": .integers(TestOutputs.truth, .int32, shape: [6, 1])],
            kind: .mismatch, item: "label.1", mentions: "[6, 1]"),
        BadOutputs(
            "no samples", recorded, ["label.0": .integers([], .int32, shape: [0])], kind: .mismatch, item: "label.0",
            mentions: "[0]", "at least 1"),
        BadOutputs(
            "labels that are no integers", recorded, ["label.0": floats([6])], kind: .mismatch, item: "label.0",
            mentions: "F32", "I32 or I64"),
        BadOutputs(
            "truth of another length", recorded, ["labels": labels(0, 1)], kind: .mismatch, item: "labels",
            mentions: "[2]", "[6]"),
        BadOutputs(
            "a true label without a class", recorded, ["labels": labels(0, 1, 3, 2, 1, 0)], kind: .outOfRange,
            item: "labels[2]", mentions: ": 3;", "names 3 classes"),
        BadOutputs(
            "a label of an exit without a class", recorded, ["label.1": labels(0, 1, 2, 0, 5, 0)], kind: .outOfRange,
            item: "label.1[4]", mentions: ": 5;", "names 3 classes"),
        BadOutputs(
            "a negative label", recorded, ["label.0": labels(0, -1, 2, 0, 1, 0)], kind: .outOfRange,
            item: "label.0[1]", mentions: "-1"),
        BadOutputs(
            "a huge label without names", recorded, ["label.0": labels(0, 70_000, 2, 0, 1, 0)],
            metadata: ["classes": nil], kind: .outOfRange, item: "label.0[1]", mentions: "70000"),
        BadOutputs(
            "a confidence of one exit only", recorded, ["confidence.1": nil], kind: .mismatch,
            item: "confidence.<i>", mentions: "1 tensors", "2, one for each exit of label.<i>"),
        BadOutputs(
            "a margin of the last exit only", recorded, ["margin.1": floats([6])], kind: .missing, item: "margin.0",
            mentions: "'margin.1'"),
        BadOutputs(
            "an entropy of an exit too many", recorded,
            ["entropy.0": floats([6]), "entropy.1": floats([6]), "entropy.2": floats([6])], kind: .mismatch,
            item: "entropy.<i>", mentions: "3 tensors"),
        BadOutputs(
            "confidences of another length", recorded, ["confidence.1": floats([5])], kind: .mismatch,
            item: "confidence.1", mentions: "[5]", "[6]"),
        BadOutputs(
            "confidences that are integers", recorded, ["confidence.0": labels(1, 1, 1, 1, 1, 1)], kind: .mismatch,
            item: "confidence.0", mentions: "I32", "F32, F16 or BF16"),
        BadOutputs(
            "a confidence that is NaN", recorded, ["confidence.0": floats([6], .nan, at: 4)], kind: .notFinite,
            item: "confidence.0, element 4", mentions: "nan"),
        BadOutputs(
            "an infinite entropy", recorded, ["entropy.0": floats([6]), "entropy.1": floats([6], .infinity, at: 5)],
            kind: .notFinite, item: "entropy.1, element 5", mentions: "inf"),
        BadOutputs(
            "names for other exits", recorded, [:], metadata: ["exits": #"["only"]"#], kind: .mismatch,
            item: "metadata 'exits'", mentions: "label.0 to label.1"),
        BadOutputs(
            "an unknown split code", recorded, ["split": .bytes([0, 1, 2, 3, 4, 0], shape: [6])], kind: .outOfRange,
            item: "split[4]", mentions: "code 4"),
        BadOutputs(
            "a split of another length", recorded, ["split": .bytes([0], shape: [1])], kind: .mismatch, item: "split"),
        BadOutputs("groups of another length", recorded, ["group": labels(1)], kind: .mismatch, item: "group"),
        BadOutputs(
            "a negative subgroup", recorded, ["subgroup": labels(0, 0, -1, 0, 0, 0)], kind: .outOfRange,
            item: "subgroup[2]", mentions: "-1"),
        BadOutputs(
            "logits: an exit left out", logits, ["logits.1": nil, "logits.2": floats([6, 3])], kind: .missing,
            item: "logits.1", mentions: "'logits.2'"),
        BadOutputs(
            "logits: counted from 1", logits, ["logits.0": nil], kind: .missing, item: "logits.0",
            mentions: "'logits.1'"),
        BadOutputs(
            "logits: other classes at one exit", logits, ["logits.1": floats([6, 4])], kind: .mismatch,
            item: "logits.1", mentions: "[6, 4]", "[6, 3]"),
        BadOutputs(
            "logits: fewer rows at one exit", logits, ["logits.1": floats([5, 3])], kind: .mismatch, item: "logits.1",
            mentions: "5 rows"),
        BadOutputs(
            "logits: one dimension", logits, ["logits.0": floats([6])], kind: .mismatch, item: "logits.0",
            mentions: "[6]"),
        BadOutputs(
            "logits: a label without a class", logits, ["labels": labels(0, 1, 2, 3, 1, 0)], kind: .outOfRange,
            item: "labels[3]", mentions: ": 3;"),
        BadOutputs(
            "logits: labels of another length", logits, ["labels": labels(0, 1, 2)], kind: .mismatch, item: "labels",
            mentions: "[3]", "[6]"),
        BadOutputs(
            "logits: integers", logits,
            ["logits.0": .integers([Int32](repeating: 1, count: 18), .int32, shape: [6, 3])],
            kind: .mismatch, item: "logits.0", mentions: "I32"),
        BadOutputs(
            "logits: a NaN", logits, ["logits.1": floats([6, 3], .nan, at: 7)], kind: .notFinite,
            item: "logits.1, row 2, column 1", mentions: "nan"),
        BadOutputs(
            "logits: an infinity", logits, ["logits.0": floats([6, 3], -.infinity, at: 17)], kind: .notFinite,
            item: "logits.0, row 5, column 2", mentions: "-inf"),
    ]

    @Test("are refused with", arguments: badOutputs)
    func refuses(_ bad: BadOutputs) throws {
        let path = try bad.outputs.write(to: folder, as: "outputs.safetensors")
        let error = try #require(throws: InputError.self) { try RecordedOutputs(opening: path) }
        #expect(error.kind == bad.kind && error.file == path && error.item == bad.item, "\(error)")
        for text in bad.mentions { #expect(error.description.contains(text), "\(error)") }
    }
}
