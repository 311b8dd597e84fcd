import FeatureCache
import Safetensors

/// Some rows of one exit's features in a cache on disk.
public struct CacheRows: FeatureRows {
    /// The features of the exit: [samples, width].
    private let features: TensorView
    /// [rowCount]: the rows of the cache that count, in order.
    public let rows: [Int32]

    /// Selects rows of an exit's features.
    public init(cache: FeatureCache, exit: Int, rows: [Int]) {
        features = cache.features(ofExit: exit)
        self.rows = rows.map { Int32($0) }
    }

    /// How many rows there are.
    public var rowCount: Int { rows.count }

    /// How many features a row has.
    public var width: Int { features.elementsPerRow }

    /// Calls with rows where they lie in the mapped file.
    public func withRows<Result>(_ range: Range<Int>, _ body: (RowPointers) -> Result) -> Result {
        rows.withUnsafeBufferPointer { features.withRows(UnsafeBufferPointer(rebasing: $0[range]), body) }
    }

    /// Calls with rows in any order where they lie in the mapped file.
    public func withRows<Result>(at indices: [Int], _ body: (RowPointers) -> Result) -> Result {
        indices.map { rows[$0] }.withUnsafeBufferPointer { features.withRows($0, body) }
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
