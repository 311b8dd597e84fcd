import ExitHeads
import LinearAlgebra
import Safetensors

/// The products of rows with heads, several side by side, forward and backward.
///
/// Few columns are summed in registers while the rows are read where they lie (``RowPointers``). Many are a matter for BLAS,
/// which needs the rows in Float32: they are copied first. Standardisation is folded into the columns; the mean is taken from
/// every number that is read where a common offset would use up the digits.
struct RowProduct: Sendable {
    /// The most columns for which rows are read in place; for more, the copy for BLAS is a small part of the work.
    static let mostColumnsInPlace = 24
    /// How many rows are multiplied in place before what came of them is: few enough to stay in the core's cache.
    static let rowsInPlace = 128

    /// How many features a row has.
    let width: Int
    /// [columns, width], columns = heads * classes: what rows are multiplied by.
    let weight: [Float]
    /// [columns]
    let bias: [Float]
    /// [width]: what is taken from the rows; nil for nothing.
    let shift: [Float]?
    /// Whether rows are read where they lie.
    private let isInPlace: Bool

    /// How many columns there are.
    var columns: Int { bias.count }

    /// Heads of standardised rows.
    ///
    /// - Parameters:
    ///   - relative: whether there is no column for the last class of a head, and all others are those of what its
    ///     logit is less: all a softmax needs to know. Rows are read in place then, however many columns there are.
    ///   - foldsMean: whether the mean is taken from the biases instead of the rows, which saves an operation for each
    ///     number; only where that is harmless (``Standardization/hasSmallOffsets``).
    init(
        _ heads: [LinearParameters], standardization: Standardization, relative: Bool = false, foldsMean: Bool = false
    ) {
        let width = standardization.width
        let (scale, mean) = (standardization.inverseDeviation, standardization.mean)
        let columns = heads.reduce(0) { $0 + (relative ? $1.classCount - 1 : $1.classCount) }
        var bias: [Float] = []
        weight = [Float](unsafeUninitializedCapacity: columns * width) { weight, count in
            for head in heads {
                head.values.withUnsafeBufferPointer { values in
                    let last = values.baseAddress! + (head.classCount - 1) * (width + 1)
                    for row in 0..<(relative ? head.classCount - 1 : head.classCount) {
                        let own = values.baseAddress! + row * (width + 1)
                        let target = weight.baseAddress! + count
                        for index in 0..<width {
                            let value = relative ? own[index] - last[index] : own[index]
                            target[index] = Float(value * Double(scale[index]))
                        }
                        var constant = relative ? own[width] - last[width] : own[width]
                        if foldsMean {
                            for index in 0..<width { constant -= Double(target[index]) * Double(mean[index]) }
                        }
                        bias.append(Float(constant))
                        count += width
                    }
                }
            }
        }
        self.width = width
        self.bias = bias
        shift = foldsMean ? nil : mean
        isInPlace = relative || bias.count <= Self.mostColumnsInPlace
    }

    /// A saved head, of rows as they come.
    init(_ head: LinearHead) {
        width = head.width
        weight = head.weight
        bias = head.bias
        shift = nil
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
            if let shift {
                pointers.copy(shiftedBy: shift, into: scratch.features)
            } else {
                pointers.copy(into: scratch.features)
            }
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

    /// Adds the gradient with respect to `weight` to sums, that with respect to the logits being column by column. It is that of
    /// rows that are not centred where the mean is folded.
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
