/// Rows of a tensor that lie together in one mapped file.
struct TensorSegment: Sendable {
    /// Which rows of the whole tensor they are.
    let rows: Range<Int>
    /// Keeps the bytes where they are.
    let file: MappedFile
    /// The rows' bytes, row-major and little-endian.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    /// The same bytes as other rows: in a tensor that begins earlier, say.
    func moved(by offset: Int) -> TensorSegment {
        TensorSegment(rows: (rows.lowerBound + offset)..<(rows.upperBound + offset), file: file, bytes: bytes)
    }
}
