import ExitHeads
import LinearAlgebra
import Safetensors

/// The products of rows with heads, several side by side, forward and backward.
///
/// Few columns are summed in registers while the rows are read where they lie (``RowPointers``). Many are a matter for BLAS,
/// which needs the rows in Float32: they are copied first. Standardisation is folded into the columns but for the mean, which
/// is taken from every number that is read: a common offset must not use up the digits.
struct RowProduct: Sendable {
    /// The most columns for which rows are read in place; for more, the copy for BLAS is a small part of the work.
    static let mostColumnsInPlace = 24
    /// How many rows are multiplied in place before what came of them is: few enough to stay in the core's cache.
    static let rowsInPlace = 128

    /// [columns, width], columns = heads * classes: what centred rows are multiplied by.
    let weight: [Float]
    /// [columns]
    let bias: [Float]
    /// [width]: what is taken from the rows.
    let shift: [Float]
    /// Whether rows are read where they lie.
    private let isInPlace: Bool

    /// How many features a row has.
    var width: Int { shift.count }
    /// How many columns there are.
    var columns: Int { bias.count }

    /// Heads of standardised rows.
    ///
    /// - Parameter relative: whether there is no column for the last class of a head, and all others are those of what its
    ///   logit is less: all a softmax needs to know. Rows are read in place then, however many columns there are.
    init(_ heads: [LinearParameters], standardization: Standardization, relative: Bool = false) {
        let width = standardization.width
        var weight: [Float] = []
        var bias: [Float] = []
        weight.reserveCapacity(heads.count * heads[0].classCount * width)
        for head in heads {
            let last = (head.classCount - 1) * (width + 1)
            for row in 0..<(relative ? head.classCount - 1 : head.classCount) {
                let start = row * (width + 1)
                func value(_ index: Int) -> Double {
                    head.values[start + index] - (relative ? head.values[last + index] : 0)
                }
                for column in 0..<width {
                    weight.append(Float(value(column) * Double(standardization.inverseDeviation[column])))
                }
                bias.append(Float(value(width)))
            }
        }
        self.weight = weight
        self.bias = bias
        shift = standardization.mean
        isInPlace = relative || bias.count <= Self.mostColumnsInPlace
    }

    /// A saved head, of rows as they come.
    init(_ head: LinearHead) {
        weight = head.weight
        bias = head.bias
        shift = Array(repeating: 0, count: head.width)
        isInPlace = bias.count <= Self.mostColumnsInPlace
    }

    /// Some rows as a product reads them.
    enum Tile {
        /// Where they lie, not shifted.
        case inPlace(RowPointers)
        /// [rows, width]: shifted already.
        case copied(UnsafePointer<Float>)

        /// Those of rows in place.
        fileprivate var pointers: RowPointers {
            guard case .inPlace(let pointers) = self else { preconditionFailure("rows in place") }
            return pointers
        }
    }

    /// Calls a closure with rows, some at a time, in order.
    ///
    /// - Parameters:
    ///   - kept: centred rows in memory, for many columns.
    ///   - scratch: for rows that are copied.
    ///   - body: the tile must not leave it.
    @inline(__always)
    func forEachTile(
        of features: some FeatureRows, _ rows: Range<Int>, kept: CentredRows? = nil, scratch: BlockScratch,
        _ body: (_ rows: Range<Int>, _ tile: Tile) -> Void
    ) {
        if !isInPlace, let block = kept?.block(rows) { return body(rows, .copied(block)) }
        features.withRows(rows) { pointers in
            forEachTile(of: pointers, scratch: scratch) { own, tile in
                body((rows.lowerBound + own.lowerBound)..<(rows.lowerBound + own.upperBound), tile)
            }
        }
    }

    /// Calls a closure with rows, some at a time, in order; see the version for features.
    @inline(__always)
    func forEachTile(
        of pointers: RowPointers, scratch: BlockScratch, _ body: (_ rows: Range<Int>, _ tile: Tile) -> Void
    ) {
        guard isInPlace else {
            pointers.copy(shiftedBy: shift, into: scratch.features)
            return body(0..<pointers.count, .copied(scratch.features))
        }
        for start in stride(from: 0, to: pointers.count, by: Self.rowsInPlace) {
            let own = start..<min(start + Self.rowsInPlace, pointers.count)
            body(own, .inPlace(pointers[own]))
        }
    }

    /// `logits = (rows - shift) · weightᵀ + bias`.
    ///
    /// - Parameter logits: [rows, columns], written.
    /// - Complexity: O(rows * width * columns).
    func forward(_ tile: Tile, rows: Int, logits: UnsafeMutablePointer<Float>) {
        switch tile {
        case .inPlace:
            withTurned { turned in
                forwardInPlace(tile, turned: turned)
                for row in 0..<rows {
                    for column in 0..<columns {
                        logits[row * columns + column] = turned[column * Self.rowsInPlace + row]
                    }
                }
            }
        case .copied(let block):
            bias.withUnsafeBufferPointer { bias in
                for row in 0..<rows { (logits + row * columns).update(from: bias.baseAddress!, count: columns) }
            }
            BLAS.multiplyTransposed(block, weight, into: logits, rows: rows, columns: columns, inner: width, beta: 1)
        }
    }

    /// Adds `factorsᵀ · (rows - shift)` to sums: the gradient with respect to `weight`, where factors are that with respect
    /// to the logits.
    ///
    /// - Parameters:
    ///   - factors: [rows, columns]
    ///   - sums: [columns, width]
    /// - Complexity: O(rows * width * columns).
    func addGradient(
        _ tile: Tile, rows: Int, factors: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>
    ) {
        switch tile {
        case .inPlace:
            withTurned { turned in
                for row in 0..<rows {
                    for column in 0..<columns {
                        turned[column * Self.rowsInPlace + row] = factors[row * columns + column]
                    }
                }
                addGradientInPlace(tile, turned: turned, to: sums)
            }
        case .copied(let block):
            BLAS.transposedMultiply(
                factors, block, into: sums, rows: columns, columns: width, inner: rows, beta: 1)
        }
    }

    /// The logits of a tile in place, column by column.
    ///
    /// - Parameter turned: [columns, rowsInPlace], of which as many of each column are written as there are rows.
    func forwardInPlace(_ tile: Tile, turned: UnsafeMutablePointer<Float>) {
        tile.pointers.multiply(
            by: weight, bias: bias, shift: shift, columns: columns, stride: Self.rowsInPlace, into: turned)
    }

    /// Adds the gradient with respect to `weight` to sums, that with respect to the logits being column by column.
    ///
    /// - Parameters:
    ///   - turned: [columns, rowsInPlace]
    ///   - sums: [columns, width]
    func addGradientInPlace(
        _ tile: Tile, turned: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>
    ) {
        tile.pointers.addProducts(with: turned, shift: shift, columns: columns, stride: Self.rowsInPlace, to: sums)
    }

    private func withTurned(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns * Self.rowsInPlace) { body($0.baseAddress!) }
    }
}
