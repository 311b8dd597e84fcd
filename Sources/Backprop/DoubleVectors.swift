import LinearAlgebra

/// The inner product of two vectors of the same length: the same bits on every machine.
///
/// - Complexity: O(count).
/// - Reference: the plain sum, in the tests.
func dot(_ left: [Double], _ right: [Double]) -> Double {
    precondition(left.count == right.count, "vectors of the same length")
    return kernels.dot(left, right, left.count)
}

/// Adds `factor · source` to a vector of the same length.
///
/// - Complexity: O(count).
func addScaled(_ factor: Double, _ source: [Double], to target: inout [Double]) {
    precondition(source.count == target.count, "vectors of the same length")
    kernels.add_scaled(factor, source, source.count, &target)
}

/// Adds `factor · source` to as many numbers in memory.
///
/// - Complexity: O(count).
func addScaled(_ factor: Double, _ source: [Double], to target: UnsafeMutablePointer<Double>) {
    kernels.add_scaled(factor, source, source.count, target)
}

/// Adds `factor` times the first numbers of a longer vector.
///
/// - Complexity: O(target.count).
func addScaled(_ factor: Double, _ source: ArraySlice<Double>, to target: inout [Double]) {
    precondition(source.count >= target.count, "a vector at least as long")
    source.withUnsafeBufferPointer { kernels.add_scaled(factor, $0.baseAddress!, target.count, &target) }
}

/// The inner product of a Float32 vector with one of the same length: the same bits on every machine.
///
/// - Complexity: O(count).
/// - Reference: the plain sum, in the tests.
func dot(_ left: [Float], _ right: [Double]) -> Double {
    precondition(left.count == right.count, "vectors of the same length")
    return kernels.dot_float(left, right, left.count)
}

/// Adds `factor · source` to a vector of the same length.
///
/// - Complexity: O(count).
func addScaled(_ factor: Double, _ source: [Float], to target: inout [Double]) {
    precondition(source.count == target.count, "vectors of the same length")
    kernels.add_scaled_float(factor, source, source.count, &target)
}

/// Adds Float32 numbers to as many in memory.
///
/// - Complexity: O(count).
func accumulate(_ source: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<Double>) {
    kernels.add_scaled_float(1, source, count, target)
}
