/// The memory one thread needs for a block: the features, the logits, and the gradient before it is summed.
final class BlockScratch {
    /// [rows, width]
    let features: UnsafeMutablePointer<Float>
    /// [rows, columns], or [columns, `RowProduct.rowsInPlace`]
    let logits: UnsafeMutablePointer<Float>
    /// [columns, width]
    let gradient: UnsafeMutablePointer<Float>

    /// - Parameters:
    ///   - hasRows: false where rows lie elsewhere.
    ///   - hasGradient: false where the gradient is written elsewhere.
    init(rows: Int, width: Int, columns: Int, hasRows: Bool = true, hasGradient: Bool = true) {
        features = .allocate(capacity: hasRows ? rows * width : 1)
        logits = .allocate(capacity: max(rows, RowProduct.rowsInPlace) * columns)
        gradient = .allocate(capacity: hasGradient ? columns * width : 1)
    }

    deinit {
        features.deallocate()
        logits.deallocate()
        gradient.deallocate()
    }
}
