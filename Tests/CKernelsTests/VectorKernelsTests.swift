import CKernels
import Statistics
import Testing

@Suite("The kernels over vectors of Double, for each instruction set that this processor has")
struct VectorKernelsTests {
    private static let all: [beem_kernels] = (0..<beem_kernels_count()).compactMap { beem_kernels_at($0)?.pointee }

    @Test("have the inner product of 32 sums, to the last bit", arguments: [0, 1, 7, 31, 32, 33, 64, 769])
    func dot(count: Int) {
        var generator = SplitMix64(seed: 1)
        let left = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        let right = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        var sums = [Double](repeating: 0, count: 32)
        for index in 0..<(count / 32 * 32) { sums[index % 32] += left[index] * right[index] }
        var expected = sums.reduce(0, +)
        for index in (count / 32 * 32)..<count { expected += left[index] * right[index] }
        for kernels in Self.all { #expect(kernels.dot(left, right, count) == expected) }
    }

    @Test(
        "have the inner products of Float32 with Double, each that of two vectors of Double",
        arguments: [0, 1, 31, 32, 77])
    func dots(count: Int) {
        var generator = SplitMix64(seed: 5)
        let stride = count + 3
        let left = (0..<(5 * stride)).map { _ in Float.random(in: -1...1, using: &generator) }
        let right = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        for kernels in Self.all {
            for vectors in 0...5 {
                var found = [Double](repeating: 7, count: 6)
                kernels.dots(left, vectors, stride, right, count, &found)
                let expected = (0..<vectors).map { vector in
                    let start = vector * stride
                    return kernels.dot(left[start..<(start + count)].map(Double.init), right, count)
                }
                #expect(found == expected + [Double](repeating: 7, count: 6 - vectors))
            }
        }
    }

    @Test("add a vector with a factor, to the last bit", arguments: [0, 1, 9, 77])
    func addScaled(count: Int) {
        var generator = SplitMix64(seed: 2)
        let source = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        let start = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        for kernels in Self.all {
            var target = start + [7]
            kernels.add_scaled(-0.3, source, count, &target)
            #expect(target == zip(start, source).map { $0 + -0.3 * $1 } + [7])
        }
    }

    @Test("add Float32 vectors to Double with factors, one after the other, to the last bit", arguments: [0, 1, 9, 77])
    func addCombination(count: Int) {
        var generator = SplitMix64(seed: 4)
        let stride = count + 2
        let sources = (0..<(6 * stride)).map { _ in Float.random(in: -1...1, using: &generator) }
        let factors = [-0.3, 1, 0, 2.7, 1e-3, -5]
        let start = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        for kernels in Self.all {
            for vectors in 0...6 {
                var target = start + [7]
                kernels.add_combination(factors, sources, vectors, stride, count, &target)
                let expected = (0..<count).map { index in
                    (0..<vectors).reduce(start[index]) { $0 + factors[$1] * Double(sources[$1 * stride + index]) }
                }
                #expect(target == expected + [7])
            }
        }
    }
}
