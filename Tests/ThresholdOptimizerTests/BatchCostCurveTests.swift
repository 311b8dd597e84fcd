import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("The time of a stage as a function of the batch size")
struct BatchCostCurveTests {
    let curve = BatchCostCurve([
        .init(batchSize: 2, milliseconds: 3), .init(batchSize: 4, milliseconds: 4),
        .init(batchSize: 8, milliseconds: 10),
    ])

    @Test("is linear between measurements, and below the first it is the first")
    func byHand() {
        #expect((1...8).map(curve.cost(ofBatch:)) == [3, 3, 3.5, 4, 5.5, 7, 8.5, 10])
        #expect(curve.largestBatch == 8)
    }

    @Test("is what was measured, to the last bit, at every measured size")
    func measured() {
        var generator = SplitMix64(seed: 1)
        for _ in 0..<500 {
            let count = Int.random(in: 1...8, using: &generator)
            let sizes = Set((0..<count).map { _ in Int.random(in: 1...300, using: &generator) })
            let points = sizes.sorted().map {
                BatchCostCurve.Point(batchSize: $0, milliseconds: Double.random(in: 1e-3...50, using: &generator))
            }
            let curve = BatchCostCurve(points)
            for point in points { #expect(curve.cost(ofBatch: point.batchSize) == point.milliseconds) }
        }
    }

    @Test("is a straight line when the measurements lie on one")
    func line() {
        var generator = SplitMix64(seed: 2)
        for _ in 0..<500 {
            let fixed = Double.random(in: 0.1...5, using: &generator)
            let each = Double.random(in: 0.01...1, using: &generator)
            let sizes = [1] + Set((0..<4).map { _ in Int.random(in: 2...64, using: &generator) }).sorted()
            let curve = BatchCostCurve(sizes.map { .init(batchSize: $0, milliseconds: fixed + each * Double($0)) })
            for size in 1...curve.largestBatch {
                let exact = fixed + each * Double(size)
                #expect(abs(curve.cost(ofBatch: size) - exact) < 1e-13 * exact)
            }
        }
    }

    @Test(
        "of two stages, one after the other, is the sum at every size up to the smaller of the largest; less a part, the rest"
    )
    func adding() throws {
        let other = BatchCostCurve([.init(batchSize: 1, milliseconds: 1), .init(batchSize: 6, milliseconds: 2)])
        let both = try #require(curve.adding(other))
        #expect(both.points.map(\.batchSize) == [1, 2, 4, 6] && both.largestBatch == 6)
        for size in 1...6 {
            let sum = curve.cost(ofBatch: size) + other.cost(ofBatch: size)
            #expect(abs(both.cost(ofBatch: size) - sum) < 1e-12)
            let rest = try #require(both.adding(other, sign: -1)).cost(ofBatch: size)
            #expect(abs(rest - curve.cost(ofBatch: size)) < 1e-12)
        }
        #expect(other.adding(other, sign: -1) == nil, "a stage is more than its check")
    }

    @Test("one measurement is enough: smaller batches take as long")
    func onePoint() {
        let curve = BatchCostCurve([.init(batchSize: 3, milliseconds: 0.25)])
        #expect((1...3).map(curve.cost(ofBatch:)) == [0.25, 0.25, 0.25])
    }
}
