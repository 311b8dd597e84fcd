import LinearAlgebra

/// Rows that have been standardised once and stay in memory.
final class StandardizedRows: @unchecked Sendable {
    // Safe to share: written in `init` only.
    let values: UnsafeMutablePointer<Float>

    init(_ features: any FeatureRows, _ standardization: Standardization, threads: Int) {
        let width = features.width
        values = .allocate(capacity: max(1, features.rowCount * width))
        let partition = RowPartition(rowCount: features.rowCount, width: width)
        // Chunks are parts that do not overlap.
        nonisolated(unsafe) let target = values
        Parallel.forEach(partition.chunkCount, threads: threads) { chunk in
            let rows = partition.rows(ofChunk: chunk)
            standardization.copyStandardized(features, rows, into: target + rows.lowerBound * width)
        }
    }

    deinit { values.deallocate() }
}
