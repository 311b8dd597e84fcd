import Testing

@testable import LinearAlgebra

@Suite("What is known of the BLAS")
struct BLASSummaryTests {
    @Test("names its version and kernels, one thread, and finds products right")
    func summary() {
        let summary = BLASSummary()
        #expect(summary.configuration.contains("OpenBLAS"))
        #expect(summary.kernels == BLAS.kernelName && !summary.kernels.isEmpty)
        #expect(summary.threads == 1)
        #expect(summary.multipliesRightly)
        #expect(!summary.areKernelsOurChoice || summary.kernels != ProcessorKernels.fallback)
    }

    @Test("a product that is a little wrong in one place, or no number, is found out")
    func wrongProducts() {
        #expect(
            BLASSummary.isProductRight(size: 64) {
                BLAS.multiplyTransposed($0, $1, into: $2, rows: $3, columns: $4, inner: $5, beta: $6)
            })
        for wrong in [Float(1e-2), .nan] {
            #expect(
                !BLASSummary.isProductRight(size: 64) { a, b, c, rows, columns, inner, beta in
                    BLAS.multiplyTransposed(a, b, into: c, rows: rows, columns: columns, inner: inner, beta: beta)
                    c[rows * columns - 1] += wrong
                })
        }
        #expect(!BLASSummary.isProductRight(size: 64) { _, _, _, _, _, _, _ in })
    }
}
