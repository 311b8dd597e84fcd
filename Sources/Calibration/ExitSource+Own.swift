import Backprop
import ExitHeads
import ExitRules
import FeatureCache
import LinearAlgebra
import Ranks
import Safetensors

extension ExitSource {
    /// What all exits say of this rank's part of some rows: parts follow one another in the order of the ranks.
    ///
    /// - Parameters:
    ///   - rows: which samples, in which order; the same on all ranks.
    ///   - measure: what is reported as confidence.
    ///   - threads: how many may be used; the result does not depend on it.
    ///   - ranks: who shares the rows.
    /// - Throws: `InputError` when heads and features do not fit, or where heads predict numbers.
    /// - Complexity: with heads O(own rows * widths * classes); otherwise O(own rows * exits).
    public func ownOutputs(
        rows: [Int], measure: ConfidenceMeasure, threads: Int, ranks: any Communicator
    ) throws(InputError) -> ExitOutputs {
        guard case .heads(let heads, let cache, _) = self else {
            return try outputs(rows: Array(rows[ranks.part(of: rows.count)]), measure: measure, threads: threads)
        }
        guard cache.targets == nil else {
            throw InputError(
                .unsupported, file: cache.path, item: "targets", seen: "numbers to predict",
                expected: "classes, to calibrate on counts", advice: "Leave --counts out.")
        }
        try heads.check(against: cache)
        let partitions = (0..<cache.exitCount).map {
            RowPartition(rowCount: rows.count, width: cache.width(ofExit: $0))
        }
        // Features of different widths may be cut into different chunks, where there are few.
        guard partitions.allSatisfy({ $0.chunkCount == partitions[0].chunkCount }) else {
            return try outputs(rows: rows, measure: measure, threads: threads)
                .selecting(Array(ranks.part(of: rows.count)))
        }
        let own = rows[Team(threads: threads, ranks: ranks).rows(of: partitions[0])]
        let predictions = heads.heads.indices.map { exit in
            ExitForward(head: heads.heads[exit], measure: measure).ownPredictions(
                for: CacheRows(cache: cache, exit: exit, rows: rows), threads: threads, ranks: ranks)
        }
        return ExitOutputs(
            truth: own.map { cache.labels[$0] }, labels: predictions.map(\.labels),
            confidences: predictions.map(\.confidences))
    }
}
