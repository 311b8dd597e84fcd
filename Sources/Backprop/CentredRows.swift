import LinearAlgebra

/// Rows whose means were taken away once, which stay in memory.
final class CentredRows: @unchecked Sendable {
    // Safe to share: written in `init` only.
    private let values: UnsafeMutablePointer<Float>
    private let width: Int
    /// Which rows they are.
    let rows: Range<Int>

    /// Keeps the rows of a team's own chunks.
    init(_ features: any FeatureRows, _ standardization: Standardization, team: Team) {
        let width = features.width
        let partition = RowPartition(rowCount: features.rowCount, width: width)
        let chunks = team.ranks.part(of: partition.chunkCount)
        let own = team.rows(of: partition)
        rows = own
        self.width = width
        values = .allocate(capacity: max(1, own.count * width))
        // Chunks are parts that do not overlap.
        nonisolated(unsafe) let target = values
        Parallel.forEach(chunks.count, threads: team.threads) { index in
            let rows = partition.rows(ofChunk: chunks.lowerBound + index)
            standardization.copyCentred(features, rows, into: target + (rows.lowerBound - own.lowerBound) * width)
        }
    }

    deinit { values.deallocate() }

    /// [rows.count, width]; nil where they are not among those that are kept.
    func block(_ rows: Range<Int>) -> UnsafePointer<Float>? {
        guard self.rows.contains(rows) else { return nil }
        return UnsafePointer(values + (rows.lowerBound - self.rows.lowerBound) * width)
    }
}
