/// The leading principal components of standardised data: where most of its variation lies.
///
/// Every dimension is first brought to mean 0 and variance 1 (a constant one to 0), so that dimensions of large scale do
/// not decide alone; then the eigenvectors of the correlation matrix with the largest eigenvalues are kept. Components
/// keep their own variance, the eigenvalue: nothing is whitened.
public struct PrincipalComponents: Equatable, Sendable {
    /// The dimensions of the data.
    public let width: Int
    /// [width]: the mean of each dimension.
    public let offset: [Float]
    /// [width]: 1 / standard deviation (divided by n) of each dimension; 0 where it is constant or all but so.
    public let scale: [Float]
    /// [components]: the variance along each component, descending.
    public let variances: [Float]
    /// [components, width]: row i is the i-th direction in standardised coordinates, of length 1.
    public let directions: [Float]
    /// The variance of all dimensions after standardisation: how many are not constant.
    public let totalVariance: Float

    /// How many components were kept.
    public var count: Int { variances.count }

    /// The share of the total variance that the components keep, in [0, 1].
    public var keptVariance: Double {
        totalVariance > 0 ? variances.reduce(0) { $0 + Double($1) } / Double(totalVariance) : 1
    }

    /// [components, width]: what a centred row is multiplied by to get its components, `directions · diag(scale)`.
    public var projection: [Float] {
        var product = directions
        for index in product.indices { product[index] *= scale[index % width] }
        return product
    }

    /// The relative precision of F16: 11 bits.
    private static let halfUlp = 1.0 / 2048

    /// How many rows are read at a time: enough for the matrix product to be efficient, few enough to stay in cache.
    static let blockRows = 256

    /// Finds the leading components of rows that are read in blocks, twice.
    ///
    /// - Parameters:
    ///   - count: how many components to keep, in 1...width.
    ///   - rowCount: at least 1.
    ///   - width: the dimensions of a row.
    ///   - copyRows: copies a range of rows, finite, into memory for [range.count, width] numbers.
    /// - Complexity: O(rowCount * width² + width³) time, O(width²) memory. Sums are Float32 products within a block, added
    ///   in Double in the order of the blocks.
    public init(
        count: Int, rowCount: Int, width: Int,
        copyRows: (_ rows: Range<Int>, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        precondition(rowCount > 0 && width > 0, "at least one row and one dimension")
        precondition((1...width).contains(count), "at least one component, at most as many as dimensions")
        let blocks = stride(from: 0, to: rowCount, by: Self.blockRows).map { $0..<min(rowCount, $0 + Self.blockRows) }
        var block = [Float](repeating: 0, count: min(rowCount, Self.blockRows) * width)

        let offset = Self.means(blocks, rowCount: rowCount, width: width, block: &block, copyRows)
        let moments = Self.secondMoments(blocks, around: offset, width: width, block: &block, copyRows)

        let deviations = (0..<width).map { (moments[$0 * width + $0] / Double(rowCount)).squareRoot() }
        // A dimension that varies by less than the rounding of Float32 around its mean is constant. So is one that
        // varies by less than a half-precision ulp of the typical deviation: some backbones switch dimensions off in
        // their last normalisation, and standardising would blow up the dust that is left there.
        let typical = (deviations.reduce(0) { $0 + $1 * $1 } / Double(width)).squareRoot()
        let scale = (0..<width).map { dimension -> Double in
            let rounding = 4 * Double(Float.ulpOfOne) * Double(abs(offset[dimension]))
            return deviations[dimension] > max(rounding, Self.halfUlp * typical) ? 1 / deviations[dimension] : 0
        }
        var correlation = [Float](repeating: 0, count: width * width)
        for row in 0..<width {
            for column in row..<width {
                let covariance = moments[row * width + column] / Double(rowCount)
                correlation[row * width + column] = Float(covariance * scale[row] * scale[column])
            }
        }
        let eigen = SymmetricEigen(upperTriangle: correlation, size: width)
        self.width = width
        self.offset = offset
        self.scale = scale.map { Float($0) }
        variances = eigen.values.prefix(count).map { max(0, $0) }
        directions = Array(eigen.vectors.prefix(count * width))
        totalVariance = Float(scale.count { $0 > 0 })
    }

    /// [width]: the mean of each dimension, summed in Double.
    private static func means(
        _ blocks: [Range<Int>], rowCount: Int, width: Int, block: inout [Float],
        _ copyRows: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) -> [Float] {
        var sums = [Double](repeating: 0, count: width)
        block.withUnsafeMutableBufferPointer { block in
            sums.withUnsafeMutableBufferPointer { sums in
                for rows in blocks {
                    copyRows(rows, block.baseAddress!)
                    for row in 0..<rows.count {
                        let values = block.baseAddress! + row * width
                        for dimension in 0..<width { sums[dimension] += Double(values[dimension]) }
                    }
                }
            }
        }
        return sums.map { Float($0 / Double(rowCount)) }
    }

    /// [width, width], upper triangle: the sums of products of the dimensions' differences from `offset`.
    private static func secondMoments(
        _ blocks: [Range<Int>], around offset: [Float], width: Int, block: inout [Float],
        _ copyRows: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) -> [Double] {
        var sums = [Double](repeating: 0, count: width * width)
        var products = [Float](repeating: 0, count: width * width)
        block.withUnsafeMutableBufferPointer { block in
            products.withUnsafeMutableBufferPointer { products in
                sums.withUnsafeMutableBufferPointer { sums in
                    for rows in blocks {
                        copyRows(rows, block.baseAddress!)
                        center(block.baseAddress!, rows: rows.count, around: offset)
                        products.update(repeating: 0)
                        BLAS.addSecondMoment(
                            of: block.baseAddress!, rows: rows.count, width: width, scale: 1,
                            into: products.baseAddress!)
                        for row in 0..<width {
                            for index in (row * width + row)..<((row + 1) * width) {
                                sums[index] += Double(products[index])
                            }
                        }
                    }
                }
            }
        }
        return sums
    }

    /// Subtracts `offset` [width] from each row of `block` [rows, width].
    public static func center(_ block: UnsafeMutablePointer<Float>, rows: Int, around offset: [Float]) {
        offset.withUnsafeBufferPointer { offset in
            for row in 0..<rows {
                let values = block + row * offset.count
                for dimension in 0..<offset.count { values[dimension] -= offset[dimension] }
            }
        }
    }
}
