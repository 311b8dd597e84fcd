import CKernels

/// Rows quantised to bytes (int8), for the matrix instructions that some processors have (AMX): where there are few columns to multiply them
/// with, reading rows is what takes time, and these are a half of F16.
///
/// Rows are in groups of as many as stay in a core's cache, and each group is worked on by itself. Nothing but the rows is
/// rounded that coarsely: what they are multiplied by is rounded to 22 bits of a column's largest number. Products are exact, and
/// sums over a group too.
public struct QuantizedRows: Sendable {
    /// What rows are multiplied by, packed.
    public struct Weights: Sendable {
        /// How many columns there are.
        public let columns: Int
        fileprivate let packed: AlignedMemory
    }

    /// The kernels; nil where the processor has no such instructions.
    private static let kernels = beem_quantized_rows_best()?.pointee

    /// Whether the processor has what it takes.
    public static var isAvailable: Bool { kernels != nil }

    /// The largest whole number that a row may hold.
    public static let range: Float = 127

    /// The widest rows.
    public static var mostWidth: Int { kernels?.most_width ?? 0 }

    /// How many rows a group has, but for the last one.
    public static var groupRows: Int { kernels.map { $0.step_rows * $0.group_steps } ?? 1 }

    /// How many bytes so many rows take; narrow ones as many as those of 32 numbers.
    public static func byteCount(rows: Int, width: Int) -> Int {
        (rows + groupRows - 1) / groupRows * (kernels?.packed_size(width) ?? 0)
    }

    /// How many rows there are.
    public let rowCount: Int
    /// How many numbers a row has.
    public let width: Int
    private let kernels: beem_quantized_rows
    /// [groups]
    private let packed: AlignedMemory
    private let groupBytes: Int

    /// Room for rows, which are to be set before they are multiplied; nil where the processor has no such instructions.
    public init?(rowCount: Int, width: Int) {
        guard let kernels = Self.kernels else { return nil }
        precondition(rowCount > 0 && width > 0 && width <= kernels.most_width, "rows of a width")
        self.rowCount = rowCount
        self.width = width
        self.kernels = kernels
        groupBytes = kernels.packed_size(width)
        let byteCount = Self.byteCount(rows: rowCount, width: width)
        packed = AlignedMemory(byteCount: byteCount)
        // Of the last group rows are read that there are none of.
        let last = packed.start + byteCount - groupBytes
        last.initializeMemory(as: UInt8.self, repeating: 0, count: groupBytes)
    }

    /// How many groups there are.
    public var groupCount: Int { (rowCount + Self.groupRows - 1) / Self.groupRows }

    /// How many numbers columns of a group's products are apart.
    public var columnStride: Int { Self.groupRows }

    /// The rows of a group.
    public func rows(ofGroup group: Int) -> Range<Int> {
        (group * Self.groupRows)..<min((group + 1) * Self.groupRows, rowCount)
    }

    /// How many rows are set at once, but for the last ones.
    public var stepRows: Int { kernels.step_rows }

    /// Sets rows. No two threads may set rows of the same group at once.
    ///
    /// - Parameters:
    ///   - rows: which, from a multiple of ``stepRows`` on.
    ///   - block: [rows.count, width]: numbers from -`range` to `range`; they are rounded.
    public func set(_ rows: Range<Int>, to block: UnsafePointer<Float>) {
        precondition(
            rows.lowerBound % stepRows == 0 && (rows.count == stepRows || rows.upperBound == rowCount), "a step")
        let (group, row) = rows.lowerBound.quotientAndRemainder(dividingBy: Self.groupRows)
        kernels.pack(block, rows.count, width, row / stepRows, start(group))
    }

    /// Packs what rows are multiplied by.
    ///
    /// - Parameter weights: [columns, width]
    public func pack(_ weights: [Float]) -> Weights {
        let columns = weights.count / width
        precondition(columns > 0 && weights.count == columns * width, "whole columns")
        let packed = AlignedMemory(byteCount: kernels.weights_size(columns, width))
        kernels.pack_weights(weights, columns, width, packed.start)
        return Weights(columns: columns, packed: packed)
    }

    /// `products = (rows · weightsᵀ + bias)ᵀ` for the rows of a group; not a number where a weight is not finite.
    ///
    /// - Parameters:
    ///   - bias: [columns]
    ///   - products: [columns, columnStride], written; what is behind the last row is of no use.
    /// - Complexity: O(rows * width * columns).
    /// - Reference: the same in Double, in the tests.
    public func multiply(
        group: Int, by weights: Weights, bias: [Float], into products: UnsafeMutablePointer<Float>
    ) {
        precondition(bias.count == weights.columns, "a bias for each column")
        let steps = (rows(ofGroup: group).count + stepRows - 1) / stepRows
        kernels.multiply(
            start(group), steps, width, weights.packed.start, bias, weights.columns, columnStride, products)
    }

    /// Adds `factors · rows` to sums, for the rows of a group.
    ///
    /// - Parameters:
    ///   - factors: [columns, columnStride], of which a number for each row is read.
    ///   - sums: [columns, width]
    /// - Complexity: O(rows * width * columns).
    /// - Reference: the same in Double, in the tests.
    public func addProducts(
        group: Int, with factors: UnsafePointer<Float>, columns: Int, to sums: UnsafeMutablePointer<Float>
    ) {
        kernels.add_products(start(group), rows(ofGroup: group).count, width, factors, columns, columnStride, sums)
    }

    private func start(_ group: Int) -> UnsafeMutableRawPointer {
        precondition(group >= 0 && group < groupCount, "a group")
        return packed.start + group * groupBytes
    }
}
