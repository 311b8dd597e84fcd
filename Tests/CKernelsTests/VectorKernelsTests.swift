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
        let single = left.map { Float($0) }
        for kernels in Self.all {
            #expect(kernels.dot_float(single, right, count) == kernels.dot(single.map(Double.init), right, count))
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

    @Test("add Float32 to Double with a factor, to the last bit", arguments: [0, 1, 9, 77])
    func addScaledFloat(count: Int) {
        var generator = SplitMix64(seed: 4)
        let source = (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
        let start = (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
        for kernels in Self.all {
            var target = start + [7]
            kernels.add_scaled_float(-0.3, source, count, &target)
            let expected = zip(start, source).map { (old: Double, number: Float) in old + -0.3 * Double(number) }
            #expect(target == expected + [7])
        }
    }
}
