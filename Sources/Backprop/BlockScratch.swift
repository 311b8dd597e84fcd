/// The memory one thread needs for a block: the features, the logits, and the gradient before it is summed.
final class BlockScratch {
    /// [rows, width]
    let features: UnsafeMutablePointer<Float>
    /// [rows, columns]
    let logits: UnsafeMutablePointer<Float>
    /// [columns, width]
    let gradient: UnsafeMutablePointer<Float>

    init(rows: Int, width: Int, columns: Int) {
        features = .allocate(capacity: rows * width)
        logits = .allocate(capacity: rows * columns)
        gradient = .allocate(capacity: columns * width)
    }

    deinit {
        features.deallocate()
        logits.deallocate()
        gradient.deallocate()
    }
}
