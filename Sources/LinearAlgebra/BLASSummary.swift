import COpenBLAS
import Foundation

/// What there is to know of the BLAS in use, and whether it computes what it should.
public struct BLASSummary: Equatable, Sendable {
    /// OpenBLAS's version and how it was built, in its words.
    public let configuration: String
    /// The kernels in use, for example "Haswell".
    public let kernels: String
    /// Whether the kernels were named to OpenBLAS, since it did not know the processor.
    public let areKernelsOurChoice: Bool
    /// Whether these are kernels that run everywhere, on a processor that could do five times as much.
    public let areKernelsSlow: Bool
    /// How many threads OpenBLAS uses; one, since parallelism is ours.
    public let threads: Int
    /// Whether a small product is what a plain loop gives.
    public let multipliesRightly: Bool

    /// Asks OpenBLAS.
    public init() {
        areKernelsOurChoice = BLAS.areKernelsOurChoice
        configuration = String(cString: openblas_get_config()).trimmingCharacters(in: .whitespacesAndNewlines)
        kernels = BLAS.kernelName
        areKernelsSlow =
            kernels == ProcessorKernels.fallback
            && ProcessorKernels.processorFlags().flatMap(ProcessorKernels.name(forFlags:)) != nil
        threads = Int(openblas_get_num_threads())
        multipliesRightly = Self.isProductRight(size: 64) {
            BLAS.multiplyTransposed($0, $1, into: $2, rows: $3, columns: $4, inner: $5, beta: $6)
        }
    }

    /// `c = a · bᵀ + beta · c`, as of ``BLAS/multiplyTransposed(_:_:into:rows:columns:inner:beta:outputStride:)``.
    typealias Product = (
        UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int, Int, Int, Float
    ) -> Void

    /// Holds a product of two square matrices against a plain loop in Double.
    ///
    /// No order of summation in Float is off by more than `size` rounding errors of the sum of magnitudes.
    static func isProductRight(size: Int, _ multiply: Product) -> Bool {
        // Numbers without a pattern, from a fixed start.
        var state: UInt32 = 1
        func next() -> Float {
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 23) - 1
        }
        let (a, b) = ((0..<size * size).map { _ in next() }, (0..<size * size).map { _ in next() })
        var c = [Float](repeating: .nan, count: size * size)
        multiply(a, b, &c, size, size, size, 0)
        for row in 0..<size {
            for column in 0..<size {
                var (sum, magnitude) = (0.0, 0.0)
                for inner in 0..<size {
                    let term = Double(a[row * size + inner]) * Double(b[column * size + inner])
                    sum += term
                    magnitude += abs(term)
                }
                let allowed = Double(size) * Double(Float.ulpOfOne) * magnitude
                // Not `> allowed`: what is no number is wrong too.
                guard abs(Double(c[row * size + column]) - sum) <= allowed else { return false }
            }
        }
        return true
    }
}
