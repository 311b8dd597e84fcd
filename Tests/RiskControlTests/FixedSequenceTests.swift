import RiskControl
import Testing

@Suite("Fixed sequence")
struct FixedSequenceTests {
    private let pValues = [0.01, 0.05, 0.2, 0.001]

    @Test("stops at the first failure, and asks for no p-value beyond it")
    func lazy() {
        var asked: [Int] = []
        let outcome = FixedSequence(level: 0.05).walk(along: [0, 1, 2, 3]) { candidate in
            asked.append(candidate)
            return pValues[candidate]
        }
        #expect(asked == [0, 1, 2])
        #expect(outcome.passed.map(\.candidate) == [0, 1])
        #expect(outcome.tested.map(\.candidate) == [0, 1, 2])
        #expect(outcome.tested.map(\.pValue) == [0.01, 0.05, 0.2])
        #expect(outcome.last == FixedSequence.Step(candidate: 1, pValue: 0.05))
    }

    @Test("follows the order it is given, not the index")
    func order() {
        let outcome = FixedSequence(level: 0.05).walk(along: [3, 0, 2, 1]) { pValues[$0] }
        #expect(outcome.passed.map(\.candidate) == [3, 0])
    }

    @Test("certifies nothing when the first candidate fails or there is none")
    func nothing() {
        let failed = FixedSequence(level: 0.05).walk(along: [2, 3]) { pValues[$0] }
        #expect(failed.last == nil && failed.passed.isEmpty && failed.tested.count == 1)
        let empty = FixedSequence(level: 0.05).walk(along: []) { pValues[$0] }
        #expect(empty.last == nil && empty.tested.isEmpty)
    }

    @Test("a p-value equal to the level passes, the next larger number does not")
    func boundary() {
        let sequence = FixedSequence(level: 0.2)
        #expect(sequence.walk(along: [0]) { _ in 0.2 }.last?.candidate == 0)
        let justAbove = (0.2).nextUp
        #expect(sequence.walk(along: [0]) { _ in justAbove }.last == nil)
    }

    @Test("an error of the test comes out, it does not end the walk quietly")
    func errors() {
        struct Broken: Error {}
        #expect(throws: Broken.self) {
            try FixedSequence(level: 0.05).walk(along: [0]) { _ throws(Broken) in throw Broken() }
        }
    }
}
