import Testing

@testable import LinearAlgebra

@Suite("Work on row blocks")
struct RowPartitionTests {
    @Test("reaches every row once, in order", arguments: [0, 1, 15, 16, 17, 1000, 100_003], [1, 128, 768, 100_000])
    func partition(rowCount: Int, width: Int) {
        let partition = RowPartition(rowCount: rowCount, width: width)
        var next = 0
        for chunk in 0..<partition.chunkCount {
            partition.forEachBlock(ofChunk: chunk) { rows in
                #expect(rows.lowerBound == next)
                #expect(rows.count <= partition.blockRows)
                next = rows.upperBound
            }
        }
        #expect(next == rowCount)
    }

    @Test("in parallel gives results in the order of the tasks", arguments: [1, 2, 5, 100])
    func map(threads: Int) {
        #expect(Parallel.map(57, threads: threads) { $0 * $0 } == (0..<57).map { $0 * $0 })
        #expect(Parallel.map(0, threads: threads) { $0 } == [])
    }
}
