import ExitHeads
import Foundation
import LinearAlgebra

extension Activation {
    /// Replaces values by the activation there.
    ///
    /// - Parameter values: [count]
    /// - Reference: ``value(at:)``.
    func apply(to values: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .tanh: for index in 0..<count { values[index] = Foundation.tanh(values[index]) }
        case .relu: for index in 0..<count { values[index] = values[index] < 0 ? 0 : values[index] }
        case .gelu: kernels.gelu(values, nil, count)
        }
    }

    /// Replaces values by the activation there, and gives its derivatives.
    ///
    /// - Parameters:
    ///   - values: [count]
    ///   - slopes: [count]
    /// - Reference: ``value(at:)``, ``slope(at:value:)``.
    func apply(
        to values: UnsafeMutablePointer<Float>, slopes: UnsafeMutablePointer<Float>, count: Int
    ) {
        switch self {
        case .tanh:
            for index in 0..<count {
                let value = Foundation.tanh(values[index])
                values[index] = value
                slopes[index] = 1 - value * value
            }
        case .relu:
            for index in 0..<count {
                let input = values[index]
                values[index] = input < 0 ? 0 : input
                slopes[index] = input > 0 ? 1 : 0
            }
        case .gelu: kernels.gelu(values, slopes, count)
        }
    }
}
