import Testing

@testable import LinearAlgebra

@Suite("OpenBLAS's own threads")
struct OpenBLASThreadsTests {
    @Test("can be ended, and ended again, and are not missed")
    func end() {
        BLAS.useOneThread()
        OpenBLASThreads.end()
        OpenBLASThreads.end()
        let summary = BLASSummary()
        #expect(summary.threads == 1 && summary.multipliesRightly)
        // Large enough that OpenBLAS would share it among threads if it had any.
        let order = 600
        var matrix = [Float](repeating: 0, count: order * order)
        for index in 0..<order { matrix[index * order + index] = 4 }
        let factor = CholeskyFactor(upper: matrix, order: order)
        var right = [Float](repeating: 1, count: order)
        factor?.solve(&right)
        #expect(right.allSatisfy { abs($0 - 0.25) < 1e-6 })
    }
}
