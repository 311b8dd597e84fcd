/// The classifier of one exit, of any kind.
public enum ExitHead: Equatable, Sendable {
    /// One linear layer.
    case linear(LinearHead)
    /// A hidden layer and a linear one.
    case hidden(HiddenHead)

    /// How many classes it tells apart; 1 for a head that predicts a number.
    public var classCount: Int {
        switch self {
        case .linear(let head): head.classCount
        case .hidden(let head): head.classCount
        }
    }

    /// How many features it reads.
    public var width: Int {
        switch self {
        case .linear(let head): head.width
        case .hidden(let head): head.width
        }
    }

    /// Whether all parameters are finite numbers.
    public var isFinite: Bool {
        switch self {
        case .linear(let head): head.isFinite
        case .hidden(let head): head.isFinite
        }
    }

    /// The logits of one sample, in plain Swift: the reference for the blocked kernels, and what runs in apps without
    /// BLAS.
    ///
    /// - Parameter features: [width]
    /// - Returns: [classes]
    /// - Complexity: O(parameters).
    public func logits(_ features: UnsafeBufferPointer<Float>) -> [Float] {
        switch self {
        case .linear(let head): head.logits(features)
        case .hidden(let head): head.logits(features)
        }
    }

    /// The logits of one sample; see the version on a buffer.
    public func logits(_ features: [Float]) -> [Float] {
        features.withUnsafeBufferPointer { logits($0) }
    }

    /// The head on the features before a projection `z = P (x - offset)`; nil for one that normalises its features first,
    /// which no head on other features repeats.
    ///
    /// - Parameters:
    ///   - projection: [width, fullWidth], row-major.
    ///   - offset: [fullWidth]
    /// - Complexity: O(outputs of the first layer * width * fullWidth).
    public func unprojected(projection: [Float], offset: [Float]) -> ExitHead? {
        switch self {
        case .linear(let head): .linear(head.unprojected(projection: projection, offset: offset))
        case .hidden(let head) where head.layerNorm == nil:
            .hidden(head.unprojected(projection: projection, offset: offset))
        case .hidden: nil
        }
    }
}
