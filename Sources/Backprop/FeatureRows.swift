/// Rows of features that a head is trained or evaluated on, read block by block.
public protocol FeatureRows: Sendable {
    /// How many rows there are.
    var rowCount: Int { get }
    /// How many features a row has.
    var width: Int { get }
    /// Copies rows as Float32 into `block` [rows.count, width]. Called from several threads at once.
    func copy(_ rows: Range<Int>, into block: UnsafeMutablePointer<Float>)
}

/// Feature rows that are in memory already.
public struct DenseRows: FeatureRows {
    /// [rowCount, width], row-major.
    public let values: [Float]
    /// How many features a row has.
    public let width: Int

    /// Creates rows from row-major values.
    public init(values: [Float], width: Int) {
        precondition(width > 0 && values.count % width == 0, "whole rows")
        self.values = values
        self.width = width
    }

    /// How many rows there are.
    public var rowCount: Int { values.count / width }

    /// Copies rows into `block`.
    public func copy(_ rows: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        values.withUnsafeBufferPointer {
            block.update(from: $0.baseAddress! + rows.lowerBound * width, count: rows.count * width)
        }
    }
}
