import LinearAlgebra
import Ranks

/// The shift and scale that give every feature mean 0 and standard deviation 1 on the train split.
///
/// Heads are trained on standardised features, so that one L2 penalty means the same for every feature; saved heads have
/// the standardisation folded in.
public struct Standardization: Equatable, Sendable {
    /// [width]: the mean of each feature.
    public let mean: [Float]
    /// [width]: 1 / standard deviation (divisor n); 0 for a feature that does not vary, which is thereby ignored.
    public let inverseDeviation: [Float]

    /// Measures mean and deviation in one pass, in Double, relative to the first row (so that a large common offset
    /// does not cancel digits).
    ///
    /// - Parameters:
    ///   - features: the rows.
    ///   - threads: how many may be used; the result does not depend on it.
    ///   - ranks: who shares the rows; the result does not depend on how many they are.
    /// - Complexity: O(rows * width).
    public init(
        of features: some FeatureRows, threads: Int = Parallel.availableThreads,
        ranks: any Communicator = OneProcess()
    ) {
        precondition(features.rowCount > 0, "standardisation needs rows")
        let width = features.width
        let partition = RowPartition(rowCount: features.rowCount, width: width)
        // The first row is the first rank's.
        var origin = [Float](repeating: 0, count: ranks.isFirst ? width : 0)
        if ranks.isFirst { features.copy(0..<1, into: &origin) }
        let firstRow = ranks.gathered(origin)
        let sums = Team(threads: threads, ranks: ranks).map(partition.chunkCount) { chunk in
            var sums = [Double](repeating: 0, count: 2 * width)
            withUnsafeTemporaryAllocation(of: Float.self, capacity: partition.blockRows * width) { block in
                let rows = block.baseAddress!
                partition.forEachBlock(ofChunk: chunk) { range in
                    features.copy(range, into: rows)
                    sums.withUnsafeMutableBufferPointer { sums in
                        for row in 0..<range.count {
                            for column in 0..<width {
                                let value = Double(rows[row * width + column] - firstRow[column])
                                sums[column] += value
                                sums[width + column] += value * value
                            }
                        }
                    }
                }
            }
            return sums
        }
        var total = [Double](repeating: 0, count: 2 * width)
        for chunk in sums {
            for index in total.indices { total[index] += chunk[index] }
        }
        let count = Double(features.rowCount)
        mean = (0..<width).map { Float(Double(firstRow[$0]) + total[$0] / count) }
        inverseDeviation = (0..<width).map { column in
            let shift = total[column] / count
            let meanSquare = total[width + column] / count
            let variance = meanSquare - shift * shift
            // What is left of a constant feature after rounding is noise, not variance.
            guard variance > 1e-12 * meanSquare, variance > 0 else { return 0 }
            return Float(1 / variance.squareRoot())
        }
    }

    /// How many features there are.
    public var width: Int { mean.count }

    /// Standardises rows in place.
    ///
    /// - Parameter block: [rows, width]
    @inline(__always)
    func apply(to block: UnsafeMutablePointer<Float>, rows: Int) {
        let width = width
        mean.withUnsafeBufferPointer { mean in
            inverseDeviation.withUnsafeBufferPointer { scale in
                for row in 0..<rows {
                    let values = block + row * width
                    for column in 0..<width { values[column] = (values[column] - mean[column]) * scale[column] }
                }
            }
        }
    }

    /// Copies rows and standardises them, a few at a time, so that they are still in the core's first cache.
    ///
    /// - Parameter block: [rows.count, width], written.
    func copyStandardized(_ features: any FeatureRows, _ rows: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        let width = width
        let step = max(1, 4096 / width)
        var start = rows.lowerBound
        while start < rows.upperBound {
            let end = min(start + step, rows.upperBound)
            let target = block + (start - rows.lowerBound) * width
            features.copy(start..<end, into: target)
            apply(to: target, rows: end - start)
            start = end
        }
    }
}
