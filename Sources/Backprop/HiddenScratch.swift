import ExitHeads

/// The memory one thread needs for a block on its way through a hidden head and back, allocated once.
final class HiddenScratch {
    /// How many rows there is room for.
    let rows: Int
    let architecture: HiddenParameters.Architecture
    /// [rows, width]
    let features: UnsafeMutablePointer<Float>
    /// [rows, width]: normalised features; nil without LayerNorm.
    let normalized: UnsafeMutablePointer<Float>?
    /// [rows, hidden]: what the last layer reads, after activation and dropout.
    let hidden: UnsafeMutablePointer<Float>
    /// [rows, hidden]: the slopes of the activation, times what dropout multiplies by.
    let slopes: UnsafeMutablePointer<Float>
    /// [rows, hidden]: the gradient with respect to the sums that the activation reads.
    let sumGradient: UnsafeMutablePointer<Float>
    /// [rows, classes]
    let logits: UnsafeMutablePointer<Float>
    /// [hidden, width]
    let hiddenWeightGradient: UnsafeMutablePointer<Float>
    /// [classes, hidden]
    let weightGradient: UnsafeMutablePointer<Float>

    init(rows: Int, architecture: HiddenParameters.Architecture) {
        let (width, units, classes) = (architecture.width, architecture.hiddenCount, architecture.classCount)
        self.rows = rows
        self.architecture = architecture
        features = .allocate(capacity: rows * width)
        normalized = architecture.hasLayerNorm ? .allocate(capacity: rows * width) : nil
        hidden = .allocate(capacity: rows * units)
        slopes = .allocate(capacity: rows * units)
        sumGradient = .allocate(capacity: rows * units)
        logits = .allocate(capacity: rows * classes)
        hiddenWeightGradient = .allocate(capacity: units * width)
        weightGradient = .allocate(capacity: classes * units)
    }

    deinit {
        features.deallocate()
        normalized?.deallocate()
        hidden.deallocate()
        slopes.deallocate()
        sumGradient.deallocate()
        logits.deallocate()
        hiddenWeightGradient.deallocate()
        weightGradient.deallocate()
    }
}
