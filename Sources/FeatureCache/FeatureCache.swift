import Ranks
import Safetensors

/// Features of a frozen backbone at every exit, with labels: a safetensors file, or shards of one, read in place.
///
/// The features stay in the mapped file; rows are copied out as Float32 when asked for. Labels, groups and split codes
/// are in memory. A value of this type has been checked: shapes agree, labels are in range, numbers are finite.
public struct FeatureCache: Sendable {
    /// Labels, classes, splits and groups: the metadata's `classes`, `exits` and `subgroups` name them, or "0", "1", ...
    /// up to the largest label, and "exit 0", "exit 1", ...
    public let samples: LabelledSamples
    /// The file, or the index of the shards, as the user named it.
    public var path: String { samples.path }
    /// [samples]: in 0..<classes.count.
    public var labels: [Int32] { samples.labels }
    /// [samples]: numbers to predict instead of classes; nil for classes.
    public var targets: [Float]? { samples.targets }
    /// The names of the classes.
    public var classes: [String] { samples.classes }
    /// [exits]: the names of the exits.
    public var exitNames: [String] { samples.exitNames }
    /// [samples]: a ``Split``'s raw value, or ``Split/unassignedCode``; nil when no split is stored.
    public var storedSplit: [UInt8]? { samples.storedSplit }
    /// [samples]: samples with the same number belong together; nil when there are no groups.
    public var groups: [Int32]? { samples.groups }
    /// [samples]: the part of the population each sample is from; nil when the cache tells none apart.
    public var subgroups: [Int32]? { samples.subgroups }
    /// The names of those parts; empty when there are none.
    public var subgroupNames: [String] { samples.subgroupNames }
    /// All texts of the file's metadata: `classes`, `exits`, `backbone`, `source`, `license` and others.
    public var metadata: [String: String] { store.metadata }

    /// Who reads the cache together: a pass over its rows is divided among them.
    public internal(set) var ranks: any Communicator

    let digest: Digest
    let store: SafetensorsStore
    /// [exits]: [samples, width]
    let features: [TensorView]
    /// [exits]: [samples, classes]; empty when the cache has none.
    let logits: [TensorView]
    /// [exits]: matrix [components, fullWidth] and offset [fullWidth]; empty when the cache is not compressed.
    let projections: [(matrix: TensorView, offset: TensorView)]

    /// How many samples there are; at least one.
    public var sampleCount: Int { labels.count }

    /// How many exits there are; at least one.
    public var exitCount: Int { features.count }

    /// How many features an exit has.
    public func width(ofExit exit: Int) -> Int { features[exit].shape[1] }

    /// The features of an exit where they lie in the mapped file: [samples, width].
    public func features(ofExit exit: Int) -> TensorView { features[exit] }

    /// Whether the cache also holds the logits of every exit, so that no heads are needed.
    public var hasLogits: Bool { !logits.isEmpty }

    /// The files that hold the rows, in their order; empty where one file holds all.
    public var rowShards: [SafetensorsStore.RowShard] { store.rowShards }

    /// Whether the features were projected, with the projection stored beside them.
    public var isCompressed: Bool { !projections.isEmpty }

    /// The cache of a network that has only some of the exits, in the order given; the file, and its digest, are the same.
    ///
    /// - Complexity: O(exits); features stay where they are.
    public func selecting(exits: [Int]) -> FeatureCache {
        FeatureCache(
            samples: samples.selecting(exits: exits), ranks: ranks, digest: digest, store: store,
            features: exits.map { features[$0] },
            logits: hasLogits ? exits.map { logits[$0] } : [],
            projections: isCompressed ? exits.map { projections[$0] } : [])
    }

    /// The same cache for one rank that reads all of it.
    public func readAlone() -> FeatureCache {
        var cache = self
        cache.ranks = OneProcess()
        return cache
    }

    /// The SHA-256 of the file, as `sha256sum` prints it; for shards see `SafetensorsStore/sha256()`.
    ///
    /// - Complexity: O(bytes), the first time it is asked for.
    public func sha256() -> String { digest.value }

    /// Makes ``sha256()`` on all ranks that read the cache together, of shards each some.
    public func shareHash() { digest.share(among: ranks) }

    /// The projection that made an exit's features from the backbone's; nil when the cache is not compressed.
    ///
    /// - Complexity: O(components * fullWidth).
    public func projection(ofExit exit: Int) -> FeatureProjection? {
        guard isCompressed else { return nil }
        return FeatureProjection(matrix: projections[exit].matrix.allFloats, offset: projections[exit].offset.allFloats)
    }
}

extension FeatureCache {
    /// Copies rows of an exit's features as Float32. Any number of threads may do so at once.
    ///
    /// - Parameters:
    ///   - rows: which samples, in 0..<sampleCount, in any order.
    ///   - exit: which exit.
    ///   - target: [rows.count, width]
    /// - Complexity: O(rows * width), and O(log shards) for a row in another shard than the one before it; allocates nothing.
    public func copyRows(
        _ rows: UnsafeBufferPointer<Int32>, ofExit exit: Int, into target: UnsafeMutablePointer<Float>
    ) {
        features[exit].copyRows(rows, into: target)
    }

    /// Copies rows of an exit's logits as Float32, as ``copyRows(_:ofExit:into:)`` does for features.
    ///
    /// - Parameters:
    ///   - rows: which samples, in 0..<sampleCount, in any order.
    ///   - exit: which exit; the cache has logits.
    ///   - target: [rows.count, classes]
    public func copyLogits(
        _ rows: UnsafeBufferPointer<Int32>, ofExit exit: Int, into target: UnsafeMutablePointer<Float>
    ) {
        precondition(hasLogits, "a cache with logits")
        logits[exit].copyRows(rows, into: target)
    }
}

extension TensorView {
    /// All elements of a tensor that is known to be of a floating-point type.
    fileprivate var allFloats: [Float] {
        [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            count = elementCount
            if let start = buffer.baseAddress { copyFloats(0..<count, into: start) }
        }
    }
}
