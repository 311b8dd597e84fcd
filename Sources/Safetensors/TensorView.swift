/// A tensor in mapped memory: its description, and its bytes where they are, in one file or row by row in several.
///
/// The view keeps its files mapped. Nothing is copied until it is asked for, and pages of a file are read when rows of
/// theirs are.
public struct TensorView: Sendable {
    /// Name, element type and shape.
    public let description: TensorDescription
    /// The file that holds the tensor, or the index of the files that hold its rows, as the user named it.
    public let path: String
    /// In the order of their rows, which they hold all of; where there are several, none is without rows.
    let segments: [TensorSegment]

    init(_ entry: SafetensorsHeader.Entry, file: MappedFile) {
        description = entry.description
        path = file.path
        segments = [
            TensorSegment(
                rows: 0..<(entry.description.shape.first ?? 1), file: file,
                bytes: UnsafeRawBufferPointer(rebasing: file.bytes[entry.bytes]))
        ]
    }

    /// The rows of several tensors, one after the other.
    ///
    /// - Parameters:
    ///   - parts: at least one; of the same name, type and extents but for the first, which is the number of rows, at least 1.
    ///     All rows together can be counted.
    ///   - path: the index that says so.
    init(rowsOf parts: [TensorView], path: String) {
        var description = parts[0].description
        var segments: [TensorSegment] = []
        var count = 0
        for part in parts {
            segments += part.segments.map { $0.moved(by: count) }
            count += part.rowCount
        }
        description.shape[0] = count
        self.description = description
        self.path = parts.count == 1 ? parts[0].path : path
        self.segments = segments
    }

    /// The name.
    public var name: String { description.name }
    /// The type of the elements.
    public var elementType: ElementType { description.elementType }
    /// The extents, outermost first.
    public var shape: [Int] { description.shape }
    /// How many elements there are.
    public var elementCount: Int { description.elementCount }
    /// How many rows there are: the outermost extent, 1 for a scalar.
    public var rowCount: Int { shape.first ?? 1 }
    /// How many elements a row has.
    public var elementsPerRow: Int { shape.dropFirst().reduce(1, *) }

    /// Calls a closure with the bytes of some rows, piece by piece, in order: one piece from each file that holds some of
    /// them. The pointers must not leave the closure.
    ///
    /// An address need not be a multiple of the element's size: a header without padding moves all data. Load with
    /// `loadUnaligned`, as ``HalfPrecision`` does.
    ///
    /// - Parameters:
    ///   - rows: inside the tensor; nil for all.
    ///   - body: is given whole rows, row-major and little-endian.
    public func forEachPiece<Failure: Error>(
        ofRows rows: Range<Int>? = nil, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let rows = rows ?? 0..<rowCount
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount, "rows of the tensor")
        let rowBytes = elementsPerRow * elementType.byteCount
        for segment in segments[segmentIndex(ofRow: rows.lowerBound)...] {
            let part = rows.clamped(to: segment.rows)
            if part.isEmpty { return }
            let start = (part.lowerBound - segment.rows.lowerBound) * rowBytes
            try body(UnsafeRawBufferPointer(rebasing: segment.bytes[start..<(start + part.count * rowBytes)]))
        }
    }

    /// The segment that holds a row; the last for a row behind all.
    ///
    /// - Complexity: O(log segments).
    func segmentIndex(ofRow row: Int) -> Int {
        var (low, high) = (0, segments.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if segments[middle].rows.lowerBound <= row { low = middle } else { high = middle }
        }
        return low
    }
}
