import FeatureCache

/// Some rows of one exit's features in a cache on disk.
public struct CacheRows: FeatureRows {
    /// The cache.
    public let cache: FeatureCache
    /// The exit whose features are read.
    public let exit: Int
    /// [rowCount]: the rows of the cache that count, in order.
    public let rows: [Int32]

    /// Selects rows of an exit's features.
    public init(cache: FeatureCache, exit: Int, rows: [Int]) {
        precondition((0..<cache.exitCount).contains(exit), "an exit of the cache")
        self.cache = cache
        self.exit = exit
        self.rows = rows.map { Int32($0) }
    }

    /// How many rows there are.
    public var rowCount: Int { rows.count }

    /// How many features a row has.
    public var width: Int { cache.width(ofExit: exit) }

    /// Gathers rows from the mapped file and widens them to Float32.
    public func copy(_ range: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        rows.withUnsafeBufferPointer {
            cache.copyRows(UnsafeBufferPointer(rebasing: $0[range]), ofExit: exit, into: block)
        }
    }
}

extension LabelledRows {
    /// Rows of one exit's features in a cache, with their labels, or the numbers to predict.
    public init(cache: FeatureCache, exit: Int, rows: [Int]) {
        self.init(
            features: CacheRows(cache: cache, exit: exit, rows: rows),
            targets: cache.targets.map { targets in HeadTargets(values: rows.map { targets[$0] }) }
                ?? HeadTargets(labels: rows.map { cache.labels[$0] }))
    }
}
