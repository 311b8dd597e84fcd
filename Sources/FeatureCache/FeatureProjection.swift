import LinearAlgebra

/// What a compressed cache keeps of its compression, for one exit: `features = matrix · (x - offset)`.
public struct FeatureProjection: Equatable, Sendable {
    /// [components, fullWidth], row-major; the stored, rounded numbers.
    public var matrix: [Float]
    /// [fullWidth]
    public var offset: [Float]

    /// Creates a projection.
    public init(matrix: [Float], offset: [Float]) {
        precondition(!offset.isEmpty && !matrix.isEmpty && matrix.count % offset.count == 0, "whole rows")
        self.matrix = matrix
        self.offset = offset
    }

    /// The width of the backbone's features.
    public var fullWidth: Int { offset.count }

    /// The width of the compressed features.
    public var components: Int { matrix.count / offset.count }

    /// Projects a block of rows.
    ///
    /// - Parameters:
    ///   - block: [rows, fullWidth]; centred in place.
    ///   - rows: how many rows.
    ///   - target: [rows, components]
    /// - Complexity: O(rows * components * fullWidth).
    public func project(_ block: UnsafeMutablePointer<Float>, rows: Int, into target: UnsafeMutablePointer<Float>) {
        PrincipalComponents.center(block, rows: rows, around: offset)
        matrix.withUnsafeBufferPointer {
            BLAS.multiplyTransposed(
                block, $0.baseAddress!, into: target, rows: rows, columns: components, inner: fullWidth)
        }
    }
}
