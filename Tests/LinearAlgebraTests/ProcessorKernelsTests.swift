import Foundation
import Testing

@testable import LinearAlgebra

@Suite("Kernels for processors that OpenBLAS does not know")
struct ProcessorKernelsTests {
    @Test("are named by the instructions there are, as OpenBLAS does within the models it knows")
    func names() {
        let avx2: Set<Substring> = ["sse2", "avx", "avx2", "fma"]
        let avx512 = avx2.union(["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"])
        #expect(ProcessorKernels.name(forFlags: ["sse2", "avx", "fma"]) == nil)
        #expect(ProcessorKernels.name(forFlags: avx2) == "Haswell")
        #expect(ProcessorKernels.name(forFlags: avx2.union(["avx512f"])) == "Haswell")
        #expect(ProcessorKernels.name(forFlags: avx512) == "SkylakeX")
        #expect(ProcessorKernels.name(forFlags: avx512.union(["avx512_bf16"])) == "Cooperlake")
    }

    @Test("are not those of a Pentium 4 where the processor can do more")
    func inUse() {
        guard ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == nil,
            let flags = ProcessorKernels.processorFlags(), flags.isSuperset(of: ["avx2", "fma"])
        else { return }
        #expect(BLAS.kernelName != ProcessorKernels.fallback)
        #expect(ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == nil)
    }
}
