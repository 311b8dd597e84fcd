import Testing

@testable import ExitHeads

@Suite("A linear head")
struct LinearHeadTests {
    @Test("gives logits W x + b")
    func logits() {
        let head = LinearHead(weight: [1, 2, 3, -1, 0, 0.5], bias: [0.25, -2])
        #expect(head.classCount == 2)
        #expect(head.width == 3)
        #expect(head.logits([1, -1, 2]) == [5.25, -2])
    }

    @Test("sums in Double, so that large terms that cancel leave the small ones")
    func cancellation() {
        let head = LinearHead(weight: [1e8, 1, -1e8], bias: [0])
        #expect(head.logits([1, 3, 1]) == [3])
    }

    @Test("with a projection multiplied in gives the same logits on the features before it")
    func unprojected() {
        // Two components of three features; numbers that Float32 holds exactly, so the logits are equal.
        let projection: [Float] = [0.5, -1, 2, 0, 0.25, 1]
        let offset: [Float] = [1, -2, 0.5]
        let head = LinearHead(weight: [2, -1, 0.5, 4, 1, 1], bias: [0.5, -1, 0])
        let features: [Float] = [3, 1, -2]
        let centred = zip(features, offset).map { $0 - $1 }
        let components = (0..<2).map { row in (0..<3).reduce(Float(0)) { $0 + projection[row * 3 + $1] * centred[$1] } }
        let full = head.unprojected(projection: projection, offset: offset)
        #expect(full.width == 3)
        #expect(full.logits(features) == head.logits(components))
    }
}
