import CKernels
import Foundation

/// Which of the package's own kernels are in use.
public enum OwnKernels {
    /// What the environment's `BEEM_KERNELS` may name, best first.
    public static var names: [String] {
        Array(sequence(first: 0) { $0 + 1 }.lazy.map { beem_kernels_name($0) }.prefix { $0 != nil })
            .map { String(cString: $0!) }
    }

    /// The instruction sets they are for, for example "AVX-512 and AMX".
    public static var description: String {
        let kernels = String(cString: beem_kernels_best().pointee.name)
        return beem_moments_best().map { "\(kernels) and \(String(cString: $0.pointee.name))" } ?? kernels
    }

    /// What `BEEM_KERNELS` says where that is none of the names.
    public static var misnamed: String? {
        ProcessInfo.processInfo.environment["BEEM_KERNELS"].flatMap { names.contains($0) ? nil : $0 }
    }
}
