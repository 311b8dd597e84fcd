import FeatureCache

/// What `beem features shard` and `beem features join` tell.
public struct ShardedCacheText: Sendable {
    private let cache: ShardedCache

    /// Collects what is told.
    public init(_ cache: ShardedCache) { self.cache = cache }

    /// One line: how many samples there are, in how many files of how many rows.
    public var text: String {
        let sizes = cache.shards.map(\.samples)
        let (least, most) = (sizes.min() ?? 0, sizes.max() ?? 0)
        let range = least == most ? Format.count(least) : "\(Format.count(least)) to \(Format.count(most))"
        let shards = "\(Format.count(sizes.count)) shard\(sizes.count == 1 ? "" : "s")"
        return "\(cache.path): \(Format.count(cache.sampleCount)) samples in \(shards) of \(range)\n"
    }
}
