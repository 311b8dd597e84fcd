import LinearAlgebra

/// An approximation of a linear head's objective: the same on standardised rows quantised to bytes, evaluated with the matrix
/// instructions that some processors have, in a third of the time.
///
/// Its Hessian is that of the objective to two digits or more, so ``LBFGS`` works with it and corrects what it says.
struct QuantizedObjective: Sendable {
    /// The most bytes of rounded rows.
    private static let mostBytes = 1 << 24
    /// With a single column, the objective itself takes hardly longer.
    private static let fewestColumns = 2
    /// How many rows are added up in Float32, about.
    private static let rowsOfChunk = 1024

    private let objective: LinearHeadObjective
    /// Rows of this rank's chunks; nil where it has none.
    private let rows: QuantizedRows?
    /// The first group of this rank among all groups.
    private let firstGroup: Int
    private let groupCount: Int
    private let chunkCount: Int
    /// What makes standardised numbers of the rounded ones.
    private let scaling: Standardization

    private var columns: Int { objective.outputCount - 1 }

    /// Rounds the rows of an objective; nil where that would not help, which does not depend on threads or ranks.
    ///
    /// - Complexity: O(rows * width).
    init?(of objective: LinearHeadObjective) {
        let (features, groupRows) = (objective.features, QuantizedRows.groupRows)
        let (width, rowCount) = (features.width, features.rowCount)
        guard QuantizedRows.isAvailable, objective.isRelative, objective.outputCount > Self.fewestColumns,
            width <= QuantizedRows.mostWidth,
            QuantizedRows.byteCount(rows: rowCount, width: width) <= Self.mostBytes
        else { return nil }
        let groupCount = (rowCount + groupRows - 1) / groupRows
        let chunkCount = min(RowPartition.mostChunks, (rowCount + Self.rowsOfChunk - 1) / Self.rowsOfChunk)
        let chunks = objective.team.ranks.part(of: chunkCount)
        let groups = (groupCount * chunks.lowerBound / chunkCount)..<(groupCount * chunks.upperBound / chunkCount)
        let (down, up) = objective.standardization.steps(range: QuantizedRows.range)
        self.objective = objective
        self.groupCount = groupCount
        self.chunkCount = chunkCount
        firstGroup = groups.lowerBound
        scaling = up
        let first = groups.lowerBound * groupRows
        let own = min(groups.upperBound * groupRows, rowCount) - first
        guard own > 0, let rows = QuantizedRows(rowCount: own, width: width) else {
            rows = nil
            return
        }
        self.rows = rows
        Parallel.forEach(rows.groupCount, threads: objective.team.threads) { group in
            let scratch = BlockScratch(rows: rows.stepRows, width: width, columns: 0, hasGradient: false)
            let all = rows.rows(ofGroup: group)
            for start in stride(from: all.lowerBound, to: all.upperBound, by: rows.stepRows) {
                let step = start..<min(start + rows.stepRows, all.upperBound)
                features.withRows((first + step.lowerBound)..<(first + step.upperBound)) {
                    $0.copy(shiftedBy: down.mean, scaledBy: down.inverseDeviation, into: scratch.features)
                }
                rows.set(step, to: scratch.features)
            }
        }
    }

    /// Objective and gradient of a head, about.
    ///
    /// - Complexity: O(rows * width * outputs); reads the rounded rows once.
    /// - Reference: `naiveLinearHeadGradient` of rows rounded likewise, in the tests.
    func evaluate(_ point: LinearHeadObjective.Point) -> LinearHeadObjective.Value {
        let (width, rowCount) = (objective.features.width, objective.features.rowCount)
        let product = RowProduct([point.parameters], standardization: scaling, relative: true)
        let weights = rows?.pack(product.weight)
        let chunks = objective.team.map(chunkCount) { chunk in
            guard let rows, let weights else { preconditionFailure("a rank works on chunks of its own") }
            var sums = PartialSums(heads: 1, columns: columns, width: width)
            let scratch = BlockScratch(rows: rows.columnStride, width: width, columns: columns, hasRows: false)
            scratch.gradient.update(repeating: 0, count: columns * width)
            for group in (groupCount * chunk / chunkCount)..<(groupCount * (chunk + 1) / chunkCount) {
                let own = group - firstGroup
                rows.multiply(group: own, by: weights, bias: product.bias, into: scratch.logits)
                let first = group * QuantizedRows.groupRows
                objective.addRelativeLosses(
                    first..<min(first + QuantizedRows.groupRows, rowCount), stride: rows.columnStride, scratch,
                    to: &sums)
                rows.addProducts(group: own, with: scratch.logits, columns: columns, to: scratch.gradient)
            }
            sums.addWeights(scratch)
            return sums.numbers()
        }
        return objective.combine(chunks, points: [point], standardization: scaling, foldsMean: false)[0]
    }
}
