import LinearAlgebra
import Ranks
import Safetensors

extension FeatureCache {
    /// Opens a cache and checks it.
    ///
    /// - Parameters:
    ///   - path: a safetensors file, or the `*.safetensors.index.json` of its shards.
    ///   - checkValues: whether all features and logits are read once to see that they are finite; by each rank those
    ///     of its own part of the rows.
    ///   - ranks: who opens the cache at the same time, each to read a part of the rows. Labels, groups and splits are in
    ///     the memory of all.
    /// - Throws: what `SafetensorsStore` throws; `missing` for a tensor that a cache needs; `mismatch` for shapes,
    ///   types or metadata that do not fit together; `outOfRange` for a label without a class or an unknown split code;
    ///   `notFinite`, with tensor, row and column, for NaN or infinity.
    /// - Complexity: O(samples), and one pass over all bytes when values are checked; memory O(samples).
    public init(
        opening path: String, checkValues: Bool = true, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        let parts = CacheParts(store: try SafetensorsStore(opening: path))
        let features = try parts.matrices()
        let sampleCount = features[0].shape[0]
        let targets = try parts.targets(count: sampleCount)
        let labels =
            targets == nil ? try parts.integers("labels", count: sampleCount) : Array(repeating: 0, count: sampleCount)
        let classes =
            targets == nil
            ? try parts.names("classes", of: labels, in: "labels") : [LabelledSamples.numberClass]
        store = parts.store
        self.ranks = ranks
        self.features = features
        samples = try parts.samples(
            labels: labels, classes: classes, targets: targets, exits: features.count, trainsHeads: true)
        logits = try parts.logits(exits: features.count, shape: [sampleCount, classes.count])
        projections = try parts.projections(of: features)
        // Small, and needed to be finite whenever they are used.
        try Self.checkFinite(projections.flatMap { [$0.matrix, $0.offset] })
        if checkValues { try Self.checkFinite(features + logits, rows: ranks.part(of: sampleCount)) }
    }

    /// Refuses tensors with numbers that are none, in some rows or anywhere.
    static func checkFinite(_ tensors: [TensorView], rows: Range<Int>? = nil) throws(InputError) {
        let found = Parallel.map(tensors.count, threads: Parallel.availableThreads) { index in
            rows.map { tensors[index].firstNonFinite(rows: $0) } ?? tensors[index].firstNonFinite()
        }
        for (tensor, index) in zip(tensors, found) {
            guard let index else { continue }
            var value: Float = 0
            tensor.copyFloats(index..<(index + 1), into: &value)
            let place =
                tensor.shape.count == 2
                ? ", row \(index / tensor.shape[1]), column \(index % tensor.shape[1])" : ", element \(index)"
            throw InputError(
                .notFinite, file: tensor.path, item: "\(tensor.name)\(place)", seen: "\(value)",
                expected: "finite numbers", advice: "Make the file again, or leave the sample out.")
        }
    }
}
