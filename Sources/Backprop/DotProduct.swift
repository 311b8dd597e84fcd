/// The inner product of two vectors of the same length.
///
/// Summed in eight lanes, which are added in order at the end: the same bits on every machine, eight times as fast as
/// one chain of additions.
///
/// - Complexity: O(count).
/// - Reference: `naiveDot` in the tests.
func dot(_ left: [Double], _ right: [Double]) -> Double {
    precondition(left.count == right.count, "vectors of the same length")
    return left.withUnsafeBytes { left in
        right.withUnsafeBytes { right in
            let size = MemoryLayout<Double>.stride
            let count = left.count / size
            var lanes = SIMD8<Double>()
            var index = 0
            while index + 8 <= count {
                lanes +=
                    left.loadUnaligned(fromByteOffset: index * size, as: SIMD8<Double>.self)
                    * right.loadUnaligned(fromByteOffset: index * size, as: SIMD8<Double>.self)
                index += 8
            }
            var sum = 0.0
            for lane in 0..<8 { sum += lanes[lane] }
            while index < count {
                sum +=
                    left.loadUnaligned(fromByteOffset: index * size, as: Double.self)
                    * right.loadUnaligned(fromByteOffset: index * size, as: Double.self)
                index += 1
            }
            return sum
        }
    }
}

/// Adds `factor · source` to a vector of the same length.
///
/// - Complexity: O(count).
func addScaled(_ factor: Double, _ source: [Double], to target: inout [Double]) {
    precondition(source.count == target.count, "vectors of the same length")
    source.withUnsafeBufferPointer { source in
        target.withUnsafeMutableBufferPointer { target in
            for index in 0..<source.count { target[index] += factor * source[index] }
        }
    }
}
