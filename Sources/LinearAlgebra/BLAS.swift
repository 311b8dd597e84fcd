import COpenBLAS

/// The few BLAS and LAPACK routines the toolkit uses, on row-major memory.
///
/// OpenBLAS runs with one thread: parallelism is ours (``Parallel``), over a fixed partition, so that results do not
/// depend on the number of threads.
public enum BLAS {
    /// Whether the kernels were named to OpenBLAS, which did not know the processor. Made once, with what comes with it.
    static let areKernelsOurChoice: Bool = {
        openblas_set_num_threads(1)
        OpenBLASThreads.end()
        return ProcessorKernels.chooseUnlessKnown()
    }()

    /// Makes OpenBLAS use the calling thread only, and kernels that suit the processor, once for the process. Every wrapper
    /// here calls it.
    public static func useOneThread() { _ = areKernelsOurChoice }

    /// The kernels that OpenBLAS chose for this processor, for example "Haswell".
    public static var kernelName: String {
        useOneThread()
        return String(cString: openblas_get_corename())
    }

    /// `c = a · bᵀ + beta · c`.
    ///
    /// - Parameters:
    ///   - a: [rows, inner]
    ///   - b: [columns, inner]
    ///   - c: [rows, columns]
    ///   - outputStride: from one row of `c` to the next; `columns` where none is given.
    /// - Complexity: O(rows * columns * inner).
    /// - Reference: `naiveMultiplyTransposed` in the tests.
    @inline(__always)
    public static func multiplyTransposed(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>,
        rows: Int, columns: Int, inner: Int, beta: Float = 0, outputStride: Int? = nil
    ) {
        useOneThread()
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(columns), Int32(inner), 1, a, Int32(inner), b,
            Int32(inner), beta, c, Int32(outputStride ?? columns))
    }

    /// `c = aᵀ · b + beta · c`.
    ///
    /// - Parameters:
    ///   - a: [inner, rows]
    ///   - b: [inner, columns]
    ///   - c: [rows, columns]
    ///   - inputStride: from one row of `a` to the next; `rows` where none is given.
    /// - Complexity: O(rows * columns * inner).
    /// - Reference: `naiveTransposedMultiply` in the tests.
    @inline(__always)
    public static func transposedMultiply(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>,
        rows: Int, columns: Int, inner: Int, beta: Float = 0, inputStride: Int? = nil
    ) {
        useOneThread()
        cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(rows), Int32(columns), Int32(inner), 1, a,
            Int32(inputStride ?? rows), b,
            Int32(columns), beta, c, Int32(columns))
    }

    /// Adds `scale · aᵀ · a` to the upper triangle of `c`.
    ///
    /// - Parameters:
    ///   - a: [rows, width]
    ///   - panel: to which rows of `c`; nil for all.
    ///   - columnEnd: the column behind the last one; nil for all.
    ///   - c: [width, width]; only entries with column >= row are touched.
    /// - Complexity: O(rows * width²).
    public static func addSecondMoment(
        of a: UnsafePointer<Float>, rows: Int, width: Int, scale: Float, panel: Range<Int>? = nil,
        columnEnd: Int? = nil, into c: UnsafeMutablePointer<Float>
    ) {
        useOneThread()
        let panel = panel ?? 0..<width
        let (start, count, rest) = (panel.lowerBound, panel.count, (columnEnd ?? width) - panel.upperBound)
        let target = c + start * width
        cblas_ssyrk(
            CblasRowMajor, CblasUpper, CblasTrans, Int32(count), Int32(rows), scale, a + start, Int32(width), 1,
            target + start, Int32(width))
        guard rest > 0 else { return }
        cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(count), Int32(rest), Int32(rows), scale, a + start,
            Int32(width), a + panel.upperBound, Int32(width), 1, target + panel.upperBound, Int32(width))
    }
}
