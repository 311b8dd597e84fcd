import Ranks

/// The threads of all ranks, at work on numbered tasks.
///
/// Each rank does its own part of the tasks, a run of neighbours, on its threads; then all ranks have the results of all
/// tasks, in the order of the numbers. So whoever combines them in that order comes to the same bytes for any number of
/// threads and ranks.
public struct Team: Sendable {
    /// How many threads this rank may use.
    public var threads: Int
    /// The ranks.
    public var ranks: any Communicator

    /// Creates a team.
    public init(threads: Int, ranks: any Communicator = OneProcess()) {
        self.threads = threads
        self.ranks = ranks
    }

    /// [count]: the numbers that each task comes to, on every rank.
    ///
    /// - Parameters:
    ///   - count: how many tasks there are.
    ///   - task: is called for this rank's tasks; all tasks come to as many numbers.
    public func map(_ count: Int, _ task: @Sendable (Int) -> [Double]) -> [[Double]] {
        let part = ranks.part(of: count)
        let own = Parallel.map(part.count, threads: threads) { task(part.lowerBound + $0) }
        if ranks.isAlone { return own }
        let all = ranks.gathered(own.flatMap { $0 })
        precondition(all.count % max(count, 1) == 0, "all tasks come to as many numbers")
        let size = all.count / max(count, 1)
        return (0..<count).map { Array(all[($0 * size)..<(($0 + 1) * size)]) }
    }

    /// The rows of a partition that this rank works on, those of its chunks.
    public func rows(of partition: RowPartition) -> Range<Int> {
        let chunks = ranks.part(of: partition.chunkCount)
        guard !chunks.isEmpty else { return 0..<0 }
        return partition.rows(ofChunk: chunks.lowerBound)
            .lowerBound..<partition.rows(ofChunk: chunks.upperBound - 1).upperBound
    }
}
