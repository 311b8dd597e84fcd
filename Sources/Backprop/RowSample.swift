import LinearAlgebra
import Ranks
import Safetensors

/// Rows, evenly spread over all there are, on every rank: so few that all can have them.
struct RowSample {
    /// What the rows of the sample are standardised by.
    let standardization: Standardization
    private let features: any FeatureRows
    private let count: Int
    /// [count, width]: centred; nil where the rows can be read when they are asked for.
    private let gathered: [Float]?

    /// Takes rows of an objective; several ranks tell each other theirs.
    ///
    /// - Parameter count: how many, at most as many as there are.
    /// - Complexity: O(count * width) where there are several ranks, otherwise O(1).
    init(of objective: LinearHeadObjective, count: Int) {
        features = objective.features
        self.count = count
        guard !objective.team.ranks.isAlone else {
            standardization = objective.standardization
            gathered = nil
            return
        }
        let (features, mean) = (objective.features, objective.standardization.mean)
        let (width, rowCount) = (features.width, features.rowCount)
        let own = objective.team.rows(of: RowPartition(rowCount: rowCount, width: width))
        let sources = (0..<count).map { $0 * rowCount / count }.filter { own.contains($0) }
        let rows = [Float](unsafeUninitializedCapacity: sources.count * width) { buffer, size in
            features.withRows(at: sources) { rows in
                rows.copy(shiftedBy: mean, into: buffer.baseAddress!)
            }
            size = sources.count * width
        }
        // Ranks have rows that follow one another.
        gathered = objective.team.ranks.gathered(rows)
        standardization = objective.standardization.ofCentredRows
    }

    /// The index of a row of the sample among all rows.
    func source(_ index: Int) -> Int { index * features.rowCount / count }

    /// Calls with some rows of the sample.
    func withRows(_ rows: Range<Int>, _ body: (RowPointers) -> Void) {
        guard let gathered else { return features.withRows(at: rows.map(source), body) }
        let width = features.width
        gathered.withUnsafeBufferPointer {
            RowPointers.with(
                UnsafeBufferPointer(rebasing: $0[(rows.lowerBound * width)..<(rows.upperBound * width)]),
                width: width, body)
        }
    }
}
