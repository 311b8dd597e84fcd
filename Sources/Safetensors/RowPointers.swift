/// Rows of floating-point numbers where they lie in memory, for kernels that read them there.
///
/// The pointers are valid as long as whoever hands them out says.
public struct RowPointers {
    /// [count]: the first number of each row, at any address.
    public let starts: UnsafePointer<UnsafeRawPointer>
    /// How many rows there are.
    public let count: Int
    /// How many numbers a row has.
    public let width: Int
    /// The type of the numbers.
    public let elementType: ElementType

    /// Describes rows.
    public init(starts: UnsafePointer<UnsafeRawPointer>, count: Int, width: Int, elementType: ElementType) {
        precondition(elementType.isFloatingPoint, "rows of floating-point numbers")
        self.starts = starts
        self.count = count
        self.width = width
        self.elementType = elementType
    }

    /// Some of the rows.
    public subscript(rows: Range<Int>) -> RowPointers {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= count, "rows of these")
        return RowPointers(
            starts: starts + rows.lowerBound, count: rows.count, width: width, elementType: elementType)
    }

    /// Copies the rows as Float32 into `target` [count, width].
    ///
    /// - Complexity: O(count * width).
    public func copy(into target: UnsafeMutablePointer<Float>) {
        for row in 0..<count {
            HalfPrecision.widen(starts[row], elementType: elementType, count: width, into: target + row * width)
        }
    }
}
