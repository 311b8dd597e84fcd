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

/// The inner products of Float32 vectors, one behind the other, with one of the same length: the same bits on every machine.
///
/// - Complexity: O(left.count).
/// - Reference: the plain sums, in the tests.
func dots(_ left: [Float], _ right: [Double]) -> [Double] {
    let vectors = left.count / max(right.count, 1)
    precondition(left.count == vectors * right.count, "vectors of the same length")
    return [Double](unsafeUninitializedCapacity: vectors) { results, count in
        if let start = results.baseAddress { kernels.dots(left, vectors, right.count, right, right.count, start) }
        count = vectors
    }
}

/// Adds Float32 vectors, one behind the other, with a factor each, to one of the same length.
///
/// - Complexity: O(sources.count).
/// - Reference: the plain sums, in the tests.
func addCombination(_ factors: [Double], _ sources: [Float], to target: inout [Double]) {
    let count = target.count
    precondition(sources.count == factors.count * count, "vectors of the same length, and a factor for each")
    kernels.add_combination(factors, sources, factors.count, count, count, &target)
}

/// Adds Float32 numbers to as many in memory.
///
/// - Complexity: O(count).
func accumulate(_ source: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<Double>) {
    kernels.add_combination([1], source, 1, count, count, target)
}
