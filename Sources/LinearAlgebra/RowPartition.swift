/// How the rows of a matrix are divided into chunks (units of parallel work) and blocks (units that fit the cache).
///
/// The partition depends on the shape alone, never on the machine, so sums over chunks in order are the same for any
/// number of threads.
public struct RowPartition: Equatable, Sendable {
    /// How many rows there are.
    public let rowCount: Int
    /// The most rows in a block: about 1 MiB of Float32, what a core's own cache holds; smaller
    /// blocks fall below the size from which OpenBLAS packs and multiplies at full speed.
    public let blockRows: Int
    /// How many chunks there are; at least one.
    public let chunkCount: Int

    /// So many threads of all ranks together can share a pass over the rows; each has a partial sum.
    public static let mostChunks = 64

    /// Divides `rowCount` rows of `width` numbers.
    public init(rowCount: Int, width: Int) {
        precondition(rowCount >= 0 && width > 0, "rows have a width")
        self.rowCount = rowCount
        blockRows = min(1024, max(16, 262_144 / width))
        chunkCount = min(Self.mostChunks, max(1, (rowCount + blockRows - 1) / blockRows))
    }

    /// The rows of a chunk; chunks differ by at most one row.
    public func rows(ofChunk chunk: Int) -> Range<Int> {
        (rowCount * chunk / chunkCount)..<(rowCount * (chunk + 1) / chunkCount)
    }

    /// Calls `body` for the blocks of a chunk, in order.
    @inlinable
    public func forEachBlock(ofChunk chunk: Int, _ body: (_ rows: Range<Int>) -> Void) {
        let rows = rows(ofChunk: chunk)
        var start = rows.lowerBound
        while start < rows.upperBound {
            let end = min(start + blockRows, rows.upperBound)
            body(start..<end)
            start = end
        }
    }
}
