/// How a block of rows is cut for products with few columns, by the shape alone.
///
/// OpenBLAS packs its operands before it multiplies, which takes longer than the product itself where a matrix of rows
/// meets a handful of columns. Where `rows * width * columns` is at most a million, its kernels for AVX-512 work on the
/// operands where they are: measured, 768 features and 6 columns take 0.11 microseconds a row rather than 0.46. A tile also
/// stays in the core's own cache between the forward and the backward product.
public enum SkinnyTiles {
    /// The most rows of a tile.
    public static func rowCount(width: Int, columns: Int) -> Int {
        // With more columns, packing is a small part of the work.
        columns > 24 ? .max : max(8, min(128, 1_000_000 / (width * max(columns, 1))))
    }

    /// Calls `body` for the tiles of a range of rows, in order.
    @inlinable
    public static func forEach(_ rows: Range<Int>, width: Int, columns: Int, _ body: (_ rows: Range<Int>) -> Void) {
        let step = rowCount(width: width, columns: columns)
        var start = rows.lowerBound
        while start < rows.upperBound {
            let end = start + min(step, rows.upperBound - start)
            body(start..<end)
            start = end
        }
    }
}
