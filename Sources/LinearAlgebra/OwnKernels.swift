import CKernels
import Foundation

/// The inner loops, compiled for the instructions that this processor has.
package let kernels = beem_kernels_best().pointee

/// Which of the package's own kernels are in use.
public enum OwnKernels {
    /// What the environment's `BEEM_KERNELS` may name, best first.
    public static var names: [String] {
        Array(sequence(first: 0) { $0 + 1 }.lazy.map { beem_kernels_name($0) }.prefix { $0 != nil })
            .map { String(cString: $0!) }
    }

    /// The instruction sets they are for, for example "AVX-512 and AMX".
    public static var description: String {
        let name = String(cString: kernels.name)
        return beem_moments_best().map { "\(name) and \(String(cString: $0.pointee.name))" } ?? name
    }

    /// What `BEEM_KERNELS` says where that is none of the names.
    public static var misnamed: String? {
        ProcessInfo.processInfo.environment["BEEM_KERNELS"].flatMap { names.contains($0) ? nil : $0 }
    }
}
