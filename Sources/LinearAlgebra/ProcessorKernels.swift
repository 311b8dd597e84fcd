import COpenBLAS
import Foundation

/// The kernels OpenBLAS should use where it does not know the processor.
///
/// OpenBLAS tells processors apart by their model numbers. One that is newer than the release it takes for a Pentium 4
/// ("Prescott"), whose kernels are five to eight times as slow as the processor. Then the kernels are named to it by the
/// instructions there are, as OpenBLAS itself does within the models it knows. The choice depends on the processor alone,
/// so two runs on one machine still give the same bytes.
enum ProcessorKernels {
    /// Names the kernels to OpenBLAS, if it fell back to those that run everywhere and the user named none.
    ///
    /// Nothing happens where OpenBLAS was built for one processor, or on other systems than Linux. Changes the environment
    /// for a moment, which is how OpenBLAS wants to be told, so call it before threads that read it are started; and after
    /// OpenBLAS's own have ended, which look at the kernels.
    ///
    /// - Returns: whether kernels were named.
    static func chooseUnlessKnown() -> Bool {
        #if os(Linux) && arch(x86_64)
            let variable = "OPENBLAS_CORETYPE"
            guard String(cString: openblas_get_corename()) == fallback, getenv(variable) == nil,
                let flags = processorFlags(), let name = name(forFlags: flags),
                let quit = dlsym(nil, "gotoblas_dynamic_quit"), let start = dlsym(nil, "gotoblas_dynamic_init")
            else { return false }
            setenv(variable, name, 1)
            unsafeBitCast(quit, to: (@convention(c) () -> Void).self)()
            unsafeBitCast(start, to: (@convention(c) () -> Void).self)()
            unsetenv(variable)
            return true
        #else
            return false
        #endif
    }

    /// What OpenBLAS takes an x86 processor for that it does not know.
    static let fallback = "Prescott"

    /// OpenBLAS's name for the best kernels that need no other instructions than these; nil where the fallback is best.
    static func name(forFlags flags: Set<Substring>) -> String? {
        let avx512: Set<Substring> = ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]
        guard flags.isSuperset(of: ["avx2", "fma"]) else { return nil }
        guard flags.isSuperset(of: avx512) else { return "Haswell" }
        return flags.contains("avx512_bf16") ? "Cooperlake" : "SkylakeX"
    }

    /// The instruction sets of the first processor, in the kernel's words.
    static func processorFlags() -> Set<Substring>? {
        guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let line {
            let text = String(cString: line)
            if text.hasPrefix("flags") { return Set(text.split(whereSeparator: \.isWhitespace)) }
        }
        return nil
    }
}
