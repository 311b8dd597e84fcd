import LinearAlgebra
import Ranks
import Safetensors

extension FeatureCache {
    /// Opens a cache and checks it.
    ///
    /// - Parameters:
    ///   - path: a safetensors file, or the `*.safetensors.index.json` of its shards.
    ///   - checkValues: whether all features and logits are read once to see that they are finite, and copies
    ///     compared; by each rank those of its own part of the rows.
    ///   - ranks: who opens the cache at the same time, each to read a part of the rows. Labels, groups and splits are in
    ///     the memory of all.
    /// - Throws: what `SafetensorsStore` throws; `missing` for a tensor that a cache needs; `mismatch` for shapes,
    ///   types, metadata or copies that do not fit together; `outOfRange` for a label without a class or an unknown split code;
    ///   `notFinite`, with tensor, row and column, for NaN or infinity.
    /// - Complexity: O(samples), and one pass over all bytes when values are checked; memory O(samples).
    public init(
        opening path: String, checkValues: Bool = true, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        try self.init(try SafetensorsStore(opening: path), checkValues: checkValues, ranks: ranks)
    }

    /// Checks that files which are open hold a cache.
    init(
        _ store: SafetensorsStore, checkValues: Bool, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        let parts = CacheParts(store: store)
        let features = try parts.matrices()
        let sampleCount = features[0].shape[0]
        let targets = try parts.targets(count: sampleCount)
        let labels =
            targets == nil ? try parts.integers("labels", count: sampleCount) : Array(repeating: 0, count: sampleCount)
        let classes =
            targets == nil
            ? try parts.names("classes", of: labels, in: "labels") : [LabelledSamples.numberClass]
        self.store = store
        self.ranks = ranks
        digest = Digest(of: store)
        self.features = features
        samples = try parts.samples(
            labels: labels, classes: classes, targets: targets, exits: features.count, trainsHeads: true)
        logits = try parts.logits(exits: features.count, shape: [sampleCount, classes.count])
        projections = try parts.projections(of: features)
        // Small, and needed to be finite whenever they are used.
        try Self.checkFinite(projections.flatMap { [$0.matrix, $0.offset] })
        if checkValues {
            try self.checkValues(rows: ranks.isAlone ? nil : ranks.part(of: sampleCount))
            try store.checkCopies()
        }
    }

    /// Checks that features and logits are finite; opening a cache does so unless it is told not to.
    ///
    /// - Parameter rows: which samples are looked at, in 0..<sampleCount; nil for all.
    /// - Throws: `notFinite`, with tensor, row and column.
    /// - Complexity: O(bytes of the rows), in one pass.
    public func checkValues(rows: Range<Int>? = nil) throws(InputError) {
        try Self.checkFinite(features + logits, rows: rows)
    }

    static func checkFinite(_ tensors: [TensorView], rows: Range<Int>? = nil) throws(InputError) {
        let found = Parallel.map(tensors.count, threads: Parallel.availableThreads) {
            tensors[$0].firstNonFinite(rows: rows)
        }
        for (tensor, index) in zip(tensors, found) {
            guard let index else { continue }
            var value: Float = 0
            tensor.copyFloats(index..<(index + 1), into: &value)
            let place = tensor.location(ofElement: index)
            let width = tensor.elementsPerRow
            let item =
                tensor.shape.count == 2
                ? "row \(place.index / width), column \(place.index % width)" : "element \(place.index)"
            throw InputError(
                .notFinite, file: place.file, item: "\(tensor.name), \(item)\(place.remark)", seen: "\(value)",
                expected: "finite numbers", advice: "Make the file again, or leave the sample out.")
        }
    }
}
