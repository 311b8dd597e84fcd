import ExitHeads
import Foundation

extension Activation {
    /// Replaces values by the activation there.
    ///
    /// - Parameter values: [count]
    /// - Reference: ``value(at:)``.
    func apply(to values: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .tanh: for index in 0..<count { values[index] = Foundation.tanh(values[index]) }
        case .relu: for index in 0..<count { values[index] = values[index] < 0 ? 0 : values[index] }
        case .gelu:
            Self.inGroups(count) { group in
                let input = group.load(values)
                group.store(input * normalDistribution(input), to: values)
            }
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
        case .gelu:
            let density = Float(1 / (2 * Double.pi).squareRoot())
            Self.inGroups(count) { group in
                let input = group.load(values)
                let distribution = normalDistribution(input)
                group.store(input * distribution, to: values)
                let height = density * exponentialOfNonPositive(-0.5 * (input * input))
                group.store(distribution + input * height, to: slopes)
            }
        }
    }

    /// Eight numbers in a row, or what is left of them at the end.
    private struct Group {
        let start: Int
        let count: Int

        @inline(__always)
        func load(_ values: UnsafePointer<Float>) -> SIMD8<Float> {
            if count == 8 { return UnsafeRawPointer(values + start).loadUnaligned(as: SIMD8<Float>.self) }
            var group = SIMD8<Float>()
            for lane in 0..<count { group[lane] = values[start + lane] }
            return group
        }

        @inline(__always)
        func store(_ group: SIMD8<Float>, to values: UnsafeMutablePointer<Float>) {
            if count == 8 {
                UnsafeMutableRawPointer(values + start).storeBytes(of: group, as: SIMD8<Float>.self)
            } else {
                for lane in 0..<count { values[start + lane] = group[lane] }
            }
        }
    }

    @inline(__always)
    private static func inGroups(_ count: Int, _ body: (Group) -> Void) {
        var start = 0
        while start < count {
            body(Group(start: start, count: min(8, count - start)))
            start += 8
        }
    }
}
