import Safetensors

/// Rows of features that a head is trained or evaluated on, read block by block.
public protocol FeatureRows: Sendable {
    /// How many rows there are.
    var rowCount: Int { get }
    /// How many features a row has.
    var width: Int { get }
    /// Calls a closure with rows where they lie in memory. Called from several threads at once.
    ///
    /// - Parameters:
    ///   - rows: which, in 0..<rowCount.
    ///   - body: the pointers must not leave it.
    func withRows<Result>(_ rows: Range<Int>, _ body: (RowPointers) -> Result) -> Result
    /// Calls a closure with rows in any order where they lie in memory; see ``withRows(_:_:)``.
    func withRows<Result>(at rows: [Int], _ body: (RowPointers) -> Result) -> Result
}

extension FeatureRows {
    /// Copies rows as Float32 into `block` [rows.count, width].
    public func copy(_ rows: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        withRows(rows) { $0.copy(into: block) }
    }
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

    /// Calls with rows where they lie.
    public func withRows<Result>(_ rows: Range<Int>, _ body: (RowPointers) -> Result) -> Result {
        values.withUnsafeBufferPointer { values in
            let block = values[(rows.lowerBound * width)..<(rows.upperBound * width)]
            return RowPointers.with(UnsafeBufferPointer(rebasing: block), width: width, body)
        }
    }

    /// Calls with rows in any order where they lie.
    public func withRows<Result>(at rows: [Int], _ body: (RowPointers) -> Result) -> Result {
        values.withUnsafeBufferPointer { RowPointers.with($0, width: width, rows: rows, body) }
    }
}
