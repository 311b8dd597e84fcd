import Evaluation
import Testing

@Suite("Paired counts")
struct PairedCountsTests {
    @Test("of two sets of samples add up to those of both together")
    func sum() {
        let own = [true, false, true, true, false, false]
        let reference = [true, true, false, true, false, true]
        for cut in 0...6 {
            let first = PairedCounts(isCorrect: own[..<cut], referenceIsCorrect: reference[..<cut])
            let second = PairedCounts(isCorrect: own[cut...], referenceIsCorrect: reference[cut...])
            #expect(first + second == PairedCounts(isCorrect: own, referenceIsCorrect: reference))
        }
    }
}
