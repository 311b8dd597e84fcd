/// The inner product of a row of weights and an input, in Double.
///
/// Summed in eight lanes, which are added in order at the end: the same bits on every machine, several times as fast as one
/// chain of additions, and without BLAS.
///
/// - Parameters:
///   - weight: [count]
///   - input: [count]
/// - Complexity: O(count).
/// - Reference: `naiveRowProduct` in the tests.
@inline(__always)
func rowProduct<Input: BinaryFloatingPoint & SIMDScalar>(
    _ weight: UnsafePointer<Float>, _ input: UnsafePointer<Input>, count: Int
) -> Double {
    var lanes = SIMD8<Double>()
    var index = 0
    while index + 8 <= count {
        var left = SIMD8<Double>()
        var right = SIMD8<Double>()
        for lane in 0..<8 {
            left[lane] = Double(weight[index + lane])
            right[lane] = Double(input[index + lane])
        }
        lanes += left * right
        index += 8
    }
    var sum = 0.0
    for lane in 0..<8 { sum += lanes[lane] }
    while index < count {
        sum += Double(weight[index]) * Double(input[index])
        index += 1
    }
    return sum
}
