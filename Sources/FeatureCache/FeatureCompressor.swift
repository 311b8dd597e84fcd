import LinearAlgebra
import Safetensors
import Synchronization

/// Makes a small cache from a large one: each exit's features projected on their leading principal components.
///
/// The components are those of the stored train split, so that the projection never saw another sample. The projection
/// is rounded to F16 and stored, and the features are computed with the stored one, `features = P (x - offset)`: whoever
/// has the backbone's features and the cache gets the same features. Components keep their own variance; whitening was
/// measured to cost certified speed-up.
public struct FeatureCompressor: Sendable {
    /// How many components are kept of each exit, or all where an exit is narrower.
    public var components: Int
    /// How many threads may be used; the result does not depend on it.
    public var threads: Int

    /// Creates a compressor; `components` is at least 1.
    public init(components: Int = 128, threads: Int = Parallel.availableThreads) {
        precondition(components >= 1, "at least one component")
        self.components = components
        self.threads = threads
    }

    /// What a compression kept.
    public struct Result: Equatable, Sendable {
        /// [exits]: the width of the features before.
        public var fullWidths: [Int]
        /// [exits]: the width of the features after.
        public var widths: [Int]
        /// [exits]: the share of the standardised train features' variance that is kept, in [0, 1].
        public var keptVariance: [Double]
    }

    /// How many rows are projected between two writes.
    private static let batchRows = 4096
    /// How many rows are projected at a time by one thread.
    private static let blockRows = 256

    /// Compresses a cache into a new file. Labels, groups, splits and logits are copied.
    ///
    /// - Parameters:
    ///   - cache: not compressed yet, with a stored train split.
    ///   - path: where the new cache will stand.
    ///   - progress: called as steps are done, from any thread.
    /// - Throws: `unsupported` when the cache is compressed already, `missing` when it stores no train split, `mismatch`
    ///   when that has too few samples, `outOfRange` when a number does not fit F16, `unwritable`.
    /// - Complexity: O(samples * width * (width + components) + width³) an exit; memory O(threads * width²).
    @discardableResult
    public func compress(
        _ cache: FeatureCache, to path: String,
        progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) -> Result {
        let rows = try trainRows(of: cache)
        let steps = 2 * cache.exitCount
        let done = Atomic(0)
        @Sendable func step() { progress(done.add(1, ordering: .relaxed).newValue, steps) }

        let fits = Parallel.map(cache.exitCount, threads: threads) { exit in
            let fit = Fit(cache: cache, exit: exit, rows: rows, components: components)
            step()
            return fit
        }
        for (exit, fit) in fits.enumerated() { try fit.check(exit: exit, file: cache.path) }

        var tensors = cache.store.tensors
            .filter { tensor in tensor.name != "split" && !cache.features.contains { $0.name == tensor.name } }
            .map { CacheTensor(copying: $0) }
        for (exit, fit) in fits.enumerated() { tensors += fit.tensors(exit: exit) }
        for (exit, fit) in fits.enumerated() {
            let shape = [cache.sampleCount, fit.projection.components]
            let description = TensorDescription(name: "features.\(exit)", elementType: .float16, shape: shape)
            tensors.append(
                CacheTensor(description) { writer throws(InputError) in
                    try project(cache, exit: exit, with: fit.projection, into: &writer)
                    step()
                })
        }
        if let split = cache.storedSplit { tensors.append(CacheTensor(split: split)) }

        var metadata = cache.metadata
        metadata["compression"] =
            "principal components of the standardised train features (\(rows.count) samples), \(components) at most, "
            + "not whitened; features = projection (x - offset)"
        try CacheTensor.write(tensors, metadata: metadata, to: path)
        return Result(
            fullWidths: fits.map(\.projection.fullWidth), widths: fits.map(\.projection.components),
            keptVariance: fits.map(\.keptVariance))
    }

    private func trainRows(of cache: FeatureCache) throws(InputError) -> [Int32] {
        guard !cache.isCompressed else {
            throw InputError(
                .unsupported, file: cache.path, item: "projection.0", seen: "features that are compressed already",
                expected: "the backbone's own features", advice: "Compress the cache that these were made from.")
        }
        guard let codes = cache.storedSplit, codes.contains(Split.train.rawValue) else {
            throw InputError(
                .missing, file: cache.path, item: "split", seen: "no stored train split",
                expected: "one, since the projection may see no other sample",
                advice: "Draw and store it with `beem features split`.")
        }
        let rows = codes.indices.filter { codes[$0] == Split.train.rawValue }.map { Int32($0) }
        let widest = (0..<cache.exitCount).map { min(components, cache.width(ofExit: $0)) }.max() ?? 0
        guard rows.count > widest else {
            throw InputError(
                .mismatch, file: cache.path, item: "split", seen: "\(rows.count) train samples",
                expected: "more than the \(widest) components", advice: "Keep fewer components.")
        }
        return rows
    }

    /// Projects all rows of an exit and writes them.
    private func project(
        _ cache: FeatureCache, exit: Int, with projection: FeatureProjection, into writer: inout SafetensorsWriter
    ) throws(InputError) {
        let width = projection.components
        let output = UnsafeMutableBufferPointer<Float>.allocate(
            capacity: min(Self.batchRows, cache.sampleCount) * width)
        defer { output.deallocate() }
        for start in stride(from: 0, to: cache.sampleCount, by: Self.batchRows) {
            let batch = start..<min(cache.sampleCount, start + Self.batchRows)
            // Blocks write to parts of the output that do not overlap.
            nonisolated(unsafe) let target = output.baseAddress!
            let blockCount = (batch.count + Self.blockRows - 1) / Self.blockRows
            Parallel.forEach(blockCount, threads: threads) { block in
                let first = batch.lowerBound + block * Self.blockRows
                let rows = (first..<min(batch.upperBound, first + Self.blockRows)).map { Int32($0) }
                withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * projection.fullWidth) { full in
                    rows.withUnsafeBufferPointer { cache.copyRows($0, ofExit: exit, into: full.baseAddress!) }
                    projection.project(
                        full.baseAddress!, rows: rows.count, into: target + (first - batch.lowerBound) * width)
                }
            }
            try writer.append(
                UnsafeBufferPointer(rebasing: output[..<(batch.count * width)]), to: "features.\(exit)")
        }
    }
}

/// The projection of one exit, as it will be stored.
private struct Fit: Sendable {
    /// [components, fullWidth]: F16 bit patterns.
    let halves: [UInt16]
    /// The same numbers as Float32, with the offset.
    let projection: FeatureProjection
    /// The share of variance kept.
    let keptVariance: Double
    /// The largest change that rounding made to a component, as a share of its length in standardised coordinates.
    let roundingError: Double
    /// The first element that F16 cannot hold.
    let overflow: Int?

    init(cache: FeatureCache, exit: Int, rows: [Int32], components: Int) {
        let width = cache.width(ofExit: exit)
        let fitted = PrincipalComponents(
            count: min(components, width), rowCount: rows.count, width: width
        ) { range, target in
            rows.withUnsafeBufferPointer {
                cache.copyRows(UnsafeBufferPointer(rebasing: $0[range]), ofExit: exit, into: target)
            }
        }
        let exact = fitted.projection
        var halves = [UInt16](repeating: 0, count: exact.count)
        var rounded = [Float](repeating: 0, count: exact.count)
        HalfPrecision.narrowToFloat16(exact, count: exact.count, into: &halves)
        HalfPrecision.widen(halves, elementType: .float16, count: exact.count, into: &rounded)
        self.halves = halves
        projection = FeatureProjection(matrix: rounded, offset: fitted.offset)
        keptVariance = fitted.keptVariance
        overflow = rounded.firstIndex { !$0.isFinite }
        var largest = 0.0
        for component in 0..<fitted.count {
            var squares = 0.0
            for dimension in 0..<width where fitted.scale[dimension] > 0 {
                let index = component * width + dimension
                let change = Double(rounded[index] - exact[index]) / Double(fitted.scale[dimension])
                squares += change * change
            }
            largest = max(largest, squares.squareRoot())
        }
        roundingError = largest
    }

    /// Checks that F16 holds the projection well enough: its own precision is 0.0005, subnormal numbers have less.
    func check(exit: Int, file: String) throws(InputError) {
        if let overflow {
            throw InputError(
                .outOfRange, file: file, item: "features.\(exit), column \(overflow % projection.fullWidth)",
                seen: "values that differ by less than F16 can scale up", expected: "a standard deviation above 2e-5",
                advice: "Scale the features up before caching them.")
        }
        guard roundingError < 0.05 else {
            throw InputError(
                .outOfRange, file: file, item: "features.\(exit)",
                seen: "values so large that the projection is rounded by \(Int(100 * roundingError)) %",
                expected: "standard deviations below 1e4", advice: "Scale the features down before caching them.")
        }
    }

    func tensors(exit: Int) -> [CacheTensor] {
        let offset = TensorDescription(name: "offset.\(exit)", elementType: .float32, shape: [projection.fullWidth])
        let matrix = TensorDescription(
            name: "projection.\(exit)", elementType: .float16, shape: [projection.components, projection.fullWidth])
        return [
            CacheTensor(offset) { writer throws(InputError) in
                try writer.append(projection.offset, to: offset.name)
            },
            CacheTensor(matrix) { writer throws(InputError) in
                try halves.withUnsafeBufferPointer { buffer throws(InputError) in
                    try writer.append(UnsafeRawBufferPointer(buffer), to: matrix.name)
                }
            },
        ]
    }
}
