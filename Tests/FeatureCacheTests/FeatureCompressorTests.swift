import Foundation
import LinearAlgebra
import Safetensors
import Statistics
import Synchronization
import TestSupport
import Testing

@testable import FeatureCache

@Suite("Compressing a cache")
struct FeatureCompressorTests {
    private static let sampleCount = 5000
    private static let widths = [12, 5]
    private static let components = 6

    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = try Self.cache().write(to: folder, as: "full.safetensors")
    }

    /// Features with three common causes, scales from 1/8 to 64, means that are not 0 and one constant dimension; more
    /// samples than the compressor handles in one batch; a third of them train.
    private static func cache(changedTest: Bool = false) -> TestCache {
        var generator = SplitMix64(seed: 21)
        let split = (0..<sampleCount).map { UInt8([0, 1, 2, 0, 3, 255][$0 % 6]) }
        var cache = TestCache(tensors: [:], metadata: ["classes": #"["a", "b"]"#, "source": "made up"])
        for (exit, width) in widths.enumerated() {
            var values: [Float] = []
            for sample in 0..<sampleCount {
                let causes = (0..<3).map { Float($0 + 1) * Float.random(in: -1...1, using: &generator) }
                for dimension in 0..<width {
                    let noise = Float.random(in: -0.5...0.5, using: &generator)
                    let scale = Float(sign: .plus, exponent: dimension % 10 - 3, significand: 1)
                    var value = scale * (causes[dimension % 3] + 0.3 * causes[(dimension + 1) % 3] + noise + 2)
                    if dimension == 3 { value = 1.7 }
                    if changedTest, split[sample] != 0 { value *= 1.5 }
                    values.append(value)
                }
            }
            cache.tensors["features.\(exit)"] = .floats(
                values, exit == 0 ? .float32 : .bfloat16, shape: [sampleCount, width])
        }
        cache.tensors["labels"] = .integers((0..<sampleCount).map { Int32($0 % 2) }, .int64, shape: [sampleCount])
        cache.tensors["split"] = .bytes(split, shape: [sampleCount])
        cache.tensors["group"] = .integers(
            (0..<sampleCount).map { Int32($0 / 3) }, .int32, shape: [sampleCount])
        return cache
    }

    private func compress(threads: Int = 2, as name: String = "small.safetensors") throws -> FeatureCache {
        let cache = try FeatureCache(opening: path)
        try FeatureCompressor(components: Self.components, threads: threads).compress(cache, to: folder.file(name))
        return try FeatureCache(opening: folder.file(name))
    }

    private func allRows(_ cache: FeatureCache, exit: Int) -> [[Double]] {
        let rows = (0..<Int32(cache.sampleCount)).map { $0 }
        let width = cache.width(ofExit: exit)
        var values = [Float](repeating: 0, count: rows.count * width)
        rows.withUnsafeBufferPointer { cache.copyRows($0, ofExit: exit, into: &values) }
        return rows.indices.map { row in values[(row * width)..<((row + 1) * width)].map(Double.init) }
    }

    @Test("keeps labels, split, groups and metadata, and says what it did")
    func keeps() throws {
        let full = try FeatureCache(opening: path)
        let small = try compress()
        #expect(small.labels == full.labels && small.storedSplit == full.storedSplit && small.groups == full.groups)
        #expect(small.metadata["source"] == "made up" && small.classes == full.classes)
        #expect(small.metadata["compression"]?.contains("principal components") == true)
        #expect(small.isCompressed && small.width(ofExit: 0) == 6)
        #expect(small.width(ofExit: 1) == 5, "an exit that is narrower keeps its width")
        #expect(small.summary.exits.map(\.fullWidth) == [12, 5])
        #expect(small.summary.exits.map(\.type) == ["F16", "F16"])
    }

    @Test("computes the features with the stored projection, rounded once")
    func usesTheStoredProjection() throws {
        let full = try FeatureCache(opening: path)
        let small = try compress()
        for exit in 0..<2 {
            let projection = try #require(small.projection(ofExit: exit))
            let before = allRows(full, exit: exit)
            let after = allRows(small, exit: exit)
            for (row, values) in after.enumerated() {
                for (component, value) in values.enumerated() {
                    var exact = 0.0
                    var magnitude = 0.0
                    for dimension in 0..<full.width(ofExit: exit) {
                        let product =
                            Double(projection.matrix[component * full.width(ofExit: exit) + dimension])
                            * (before[row][dimension] - Double(projection.offset[dimension]))
                        exact += product
                        magnitude += abs(product)
                    }
                    // Half a unit of F16, and Float32 sums of as many terms as the exit is wide.
                    let tolerance =
                        0x1p-11 * abs(exact) + 0x1p-25
                        + 2 * Double(full.width(ofExit: exit)) * Double(Float.ulpOfOne) * magnitude
                    guard abs(value - exact) <= tolerance else {
                        Issue.record("row \(row), component \(component): \(value) instead of \(exact)")
                        return
                    }
                }
            }
        }
    }

    @Test("keeps components of the train split that are centred, uncorrelated, and of their own variance")
    func components() throws {
        let cache = try FeatureCache(opening: path)
        let result = try FeatureCompressor(components: Self.components).compress(cache, to: folder.file("s"))
        let small = try FeatureCache(opening: folder.file("s"))
        for exit in 0..<2 {
            let train = zip(allRows(small, exit: exit), small.storedSplit!).filter { $0.1 == 0 }.map(\.0)
            let count = Double(train.count)
            let width = small.width(ofExit: exit)
            var variances: [Double] = []
            for first in 0..<width {
                #expect(abs(train.reduce(0) { $0 + $1[first] } / count) < 2e-3)
                for second in first..<width {
                    let product = train.reduce(0) { $0 + $1[first] * $1[second] } / count
                    if first == second { variances.append(product) } else { #expect(abs(product) < 5e-3) }
                }
            }
            #expect(zip(variances, variances.dropFirst()).allSatisfy { $0 > $1 - 5e-3 })
            #expect(variances[0] > 2, "components are not whitened")
            // One dimension of each exit is constant.
            let kept = variances.reduce(0, +) / Double(Self.widths[exit] - 1)
            #expect(abs(result.keptVariance[exit] - kept) < 2e-3)
        }
        #expect(result.fullWidths == [12, 5] && result.widths == [6, 5])
        #expect(result.keptVariance[0] > 0.8 && result.keptVariance[0] < 1)
        #expect(abs(result.keptVariance[1] - 1) < 1e-5)
    }

    @Test("sees the train split only")
    func trainOnly() throws {
        let small = try compress()
        let changed = try Self.cache(changedTest: true).write(to: folder, as: "changed.safetensors")
        try FeatureCompressor(components: Self.components)
            .compress(try FeatureCache(opening: changed), to: folder.file("other.safetensors"))
        let other = try FeatureCache(opening: folder.file("other.safetensors"))
        for exit in 0..<2 { #expect(small.projection(ofExit: exit) == other.projection(ofExit: exit)) }
        #expect(allRows(small, exit: 0)[0] == allRows(other, exit: 0)[0])
        #expect(allRows(small, exit: 0)[1] != allRows(other, exit: 0)[1])
    }

    @Test("gives the same bytes for any number of threads")
    func deterministic() throws {
        let one = try compress(threads: 1, as: "one").sha256()
        #expect(try compress(threads: 3, as: "three").sha256() == one)
        #expect(try compress(threads: 3, as: "again").sha256() == one)
    }

    @Test("reports every step once")
    func progress() throws {
        let steps = Mutex<[Int]>([])
        try FeatureCompressor(components: 2).compress(FeatureCache(opening: path), to: folder.file("s")) {
            done, total in
            #expect(total == 4)
            steps.withLock { $0.append(done) }
        }
        #expect(steps.withLock { $0.sorted() } == [1, 2, 3, 4])
    }

    // MARK: What cannot be compressed

    private func refusal(_ cache: TestCache, components: Int = components) throws -> InputError {
        let path = try cache.write(to: folder, as: "bad.safetensors")
        let target = try folder.write("old", as: "target")
        let error = try #require(throws: InputError.self) {
            try FeatureCompressor(components: components).compress(FeatureCache(opening: path), to: target)
        }
        #expect(error.file == path || error.file == target)
        #expect(try String(contentsOfFile: target, encoding: .utf8) == "old")
        #expect(try folder.contents().count == 3, "no temporary file is left")
        return error
    }

    @Test("refuses a cache that is compressed already")
    func twice() throws {
        let small = try compress()
        let error = try #require(throws: InputError.self) {
            try FeatureCompressor().compress(small, to: folder.file("smaller"))
        }
        #expect(error.kind == .unsupported && error.item == "projection.0" && error.file == small.path)
    }

    @Test("needs a stored train split, larger than the components")
    func needsTrain() throws {
        let none = try refusal(Self.cache().with(["split": nil]))
        #expect(none.kind == .missing && none.item == "split")
        let codes = (0..<Self.sampleCount).map { UInt8($0 < 6 ? 0 : 1) }
        #expect(
            try refusal(Self.cache().with(["split": .bytes(codes.map { max($0, 1) }, shape: [5000])])).kind == .missing)
        let few = try refusal(Self.cache().with(["split": .bytes(codes, shape: [5000])]))
        #expect(few.kind == .mismatch && few.seen == "6 train samples")
    }

    private func scaled(_ scale: Float, onlyRow row: Int? = nil) -> TestCache {
        guard case .floats(var values, _, let shape) = Self.cache().tensors["features.0"]! else { return Self.cache() }
        for index in values.indices where row == nil || index / 12 == row { values[index] *= scale }
        return Self.cache().with(["features.0": .floats(values, .float32, shape: shape)])
    }

    @Test("says when features are too small or too large for a projection in F16")
    func scales() throws {
        let small = try refusal(scaled(1e-8))
        #expect(
            small.kind == .outOfRange && small.item?.hasPrefix("features.0") == true && small.advice!.contains("up"))
        let large = try refusal(scaled(1e9))
        #expect(large.kind == .outOfRange && large.item == "features.0" && large.advice!.contains("down"))
    }

    @Test("says which compressed feature is too large for F16")
    func overflow() throws {
        // Row 4500 is not in train, and in the second batch.
        let error = try refusal(scaled(1e7, onlyRow: 4501))
        #expect(error.kind == .outOfRange && error.item?.hasPrefix("features.0[4501, ") == true, "\(error)")
    }
}
