import LinearAlgebra
import Ranks
import Safetensors

/// The shift and scale that give every feature mean 0 and standard deviation 1 on the train split.
///
/// Heads are trained on standardised features, so that one L2 penalty means the same for every feature; saved heads have
/// the standardisation folded in.
public struct Standardization: Equatable, Sendable {
    /// [width]: the mean of each feature.
    public let mean: [Float]
    /// [width]: 1 / standard deviation (divisor n); 0 for a feature that does not vary, which is thereby ignored.
    public let inverseDeviation: [Float]
    /// [width]: the largest distance of a number from its mean, in standard deviations.
    let largest: [Float]

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
            // The first row's distance from itself is among them, or on other ranks counts as if it were.
            var (lowest, highest) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: width))
            var sums = [Double](repeating: 0, count: 2 * width)
            sums.withUnsafeMutableBufferPointer { sums in
                let sums = sums.baseAddress!
                partition.forEachBlock(ofChunk: chunk) { rows in
                    features.withRows(rows) { rows in
                        // Few rows at a time, so that memory is read in order: measured, a quarter less time.
                        for start in stride(from: 0, to: rows.count, by: 64) {
                            rows[start..<min(start + 64, rows.count)]
                                .addMoments(
                                    around: firstRow, sums: sums, squares: sums + width, lowest: &lowest,
                                    highest: &highest)
                        }
                    }
                }
            }
            return sums + lowest.map(Double.init) + highest.map(Double.init)
        }
        var total = [Double](repeating: 0, count: 2 * width)
        var (lowest, highest) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
        for chunk in sums {
            for index in total.indices { total[index] += chunk[index] }
            for index in 0..<width {
                lowest[index] = min(lowest[index], chunk[2 * width + index])
                highest[index] = max(highest[index], chunk[3 * width + index])
            }
        }
        let count = Double(features.rowCount)
        mean = (0..<width).map { Float(Double(firstRow[$0]) + total[$0] / count) }
        let inverseDeviation = (0..<width).map { column -> Float in
            let shift = total[column] / count
            let meanSquare = total[width + column] / count
            let variance = meanSquare - shift * shift
            // What is left of a constant feature after rounding is noise, not variance.
            guard variance > 1e-12 * meanSquare, variance > 0 else { return 0 }
            return Float(1 / variance.squareRoot())
        }
        self.inverseDeviation = inverseDeviation
        largest = (0..<width).map { column in
            let shift = total[column] / count
            return Float(max(highest[column] - shift, shift - lowest[column])) * inverseDeviation[column]
        }
    }

    private init(mean: [Float], inverseDeviation: [Float], largest: [Float]) {
        self.mean = mean
        self.inverseDeviation = inverseDeviation
        self.largest = largest
    }

    /// What standardises rows whose mean was taken away.
    var ofCentredRows: Standardization {
        Standardization(
            mean: Array(repeating: 0, count: width), inverseDeviation: inverseDeviation, largest: largest)
    }

    /// How rows are brought to whole numbers from -`range` to `range`, and what brings those to standardised rows.
    func steps(range: Float) -> (down: Standardization, up: Standardization) {
        let steps = largest.map { $0 / range }
        let down = zip(inverseDeviation, steps).map { $1 > 0 ? $0 / $1 : 0 }
        return (
            Standardization(mean: mean, inverseDeviation: down, largest: largest.map { $0 > 0 ? range : 0 }),
            Standardization(mean: Array(repeating: 0, count: width), inverseDeviation: steps, largest: largest)
        )
    }

    /// How many features there are.
    public var width: Int { mean.count }

    /// Whether means are so small, beside the deviations, that Float32 sums over rows with and without them have nearly the same
    /// precision: their mean square is at most 4, so rows as they come are at most some twice as long as centred ones.
    var hasSmallOffsets: Bool {
        let squares = (0..<width).reduce(0.0) {
            let offset = Double(mean[$1]) * Double(inverseDeviation[$1])
            // A feature that does not vary has no deviation to compare with.
            return $0 + (inverseDeviation[$1] > 0 ? offset * offset : mean[$1] == 0 ? 0 : .infinity)
        }
        return squares <= 4 * Double(width)
    }

    /// Standardises rows in place.
    ///
    /// - Parameter block: [rows, width]
    func apply(to block: UnsafeMutablePointer<Float>, rows: Int) {
        RowPointers.with(UnsafeBufferPointer(start: block, count: rows * width), width: width) {
            $0.copy(shiftedBy: mean, scaledBy: inverseDeviation, into: block)
        }
    }

    /// Copies rows and takes the mean from them.
    ///
    /// - Parameter block: [rows.count, width], written.
    func copyCentred(_ features: any FeatureRows, _ rows: Range<Int>, into block: UnsafeMutablePointer<Float>) {
        features.withRows(rows) { $0.copy(shiftedBy: mean, into: block) }
    }
}
