extension TensorView {
    /// Calls a closure with rows of a floating-point tensor where they lie. Any number of threads may do so at once.
    ///
    /// - Parameters:
    ///   - rows: which, in 0..<rowCount, in any order.
    ///   - body: the pointers must not leave it.
    /// - Complexity: O(rows), and O(log segments) for each row that lies in another segment than the one before it; nothing
    ///   is copied.
    public func withRows<Result>(
        _ rows: UnsafeBufferPointer<Int32>, _ body: (RowPointers) -> Result
    ) -> Result {
        let width = elementsPerRow
        let rowBytes = width * elementType.byteCount
        return withUnsafeTemporaryAllocation(of: UnsafeRawPointer.self, capacity: max(rows.count, 1)) { starts in
            segments.withUnsafeBufferPointer { segments in
                // The rows of the segment last read, and where they begin: a segment's file is not retained for each row.
                var held = 0..<0
                var start: UnsafeRawPointer?
                for (index, row) in rows.enumerated() {
                    let row = Int(row)
                    if !held.contains(row) {
                        let segment = segmentIndex(ofRow: row)
                        held = segments[segment].rows
                        start = segments[segment].bytes.baseAddress
                        precondition(held.contains(row), "a row of the tensor")
                    }
                    starts.initializeElement(at: index, to: start! + (row - held.lowerBound) * rowBytes)
                }
            }
            return body(
                RowPointers(starts: starts.baseAddress!, count: rows.count, width: width, elementType: elementType))
        }
    }

    /// Copies rows of a floating-point tensor as Float32. Any number of threads may do so at once.
    ///
    /// - Parameters:
    ///   - rows: which, in 0..<rowCount, in any order.
    ///   - target: [rows.count, elementsPerRow]
    /// - Complexity: O(rows * elementsPerRow).
    public func copyRows(_ rows: UnsafeBufferPointer<Int32>, into target: UnsafeMutablePointer<Float>) {
        withRows(rows) { $0.copy(into: target) }
    }

    /// The index, in row-major order, of the first infinity or NaN of a floating-point tensor; nil when all are finite.
    ///
    /// - Parameter rows: which are looked at, inside the tensor; nil for all.
    /// - Returns: the index among all elements of the tensor, also where only some rows are looked at.
    /// - Complexity: O(elements), one pass over the mapped bytes.
    public func firstNonFinite(rows: Range<Int>? = nil) -> Int? {
        let rows = rows ?? 0..<rowCount
        var seen = rows.lowerBound * elementsPerRow
        var found: Int?
        forEachPiece(ofRows: rows) { bytes in
            guard found == nil, let start = bytes.baseAddress else { return }
            let count = bytes.count / elementType.byteCount
            found = HalfPrecision.firstNonFinite(start, elementType: elementType, count: count).map { seen + $0 }
            seen += count
        }
        return found
    }

    /// Where an element lies, for messages.
    public struct Location: Equatable, Sendable {
        /// The file, as the user named it or the index names it.
        public var file: String
        /// The index of the element among those that this file holds of the tensor, in row-major order.
        public var index: Int
        /// ` (row 1024 of all shards)` where the file holds some of the rows only; otherwise empty.
        public var remark: String
    }

    /// Where an element lies: in which file, and where in it.
    ///
    /// - Parameter element: in row-major order, inside the tensor.
    public func location(ofElement element: Int) -> Location {
        let row = element / max(elementsPerRow, 1)
        let segment = segments[segmentIndex(ofRow: row)]
        return Location(
            file: segment.file.path, index: element - segment.rows.lowerBound * elementsPerRow,
            remark: segments.count == 1 ? "" : " (row \(row) of all shards)")
    }
}
