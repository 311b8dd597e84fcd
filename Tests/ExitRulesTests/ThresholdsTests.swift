import ExitRules
import Testing

@Suite("Where a sample leaves")
struct ThresholdsTests {
    private func exit(_ thresholds: [Double?], _ scores: [Double]) -> Int {
        Thresholds(thresholds).exitTaken { scores[$0] }
    }

    @Test("a score equal to the threshold leaves, the next smaller number stays")
    func equality() {
        #expect(exit([0.5], [0.5]) == 0)
        let justBelow = (0.5).nextDown
        #expect(exit([0.5], [justBelow]) == 1)
    }

    @Test("a threshold of nil is one that no score reaches, not even infinity")
    func never() {
        #expect(exit([nil, nil], [.infinity, .infinity]) == 2)
        #expect(exit([nil, 1], [9, 1]) == 1)
        #expect(Thresholds.neverLeaveEarly(exitCount: 4) == Thresholds([nil, nil, nil]))
        #expect(!Thresholds([nil]).releases(score: .infinity, at: 0))
    }

    @Test(
        "a sample leaves at the first exit that lets it, and asks for no score beyond, nor for one without a threshold")
    func first() {
        var asked: [Int] = []
        let taken = Thresholds([nil, 0.9, 0.2, 0.1]).exitTaken { exit in
            asked.append(exit)
            return 0.5
        }
        #expect(taken == 2 && asked == [1, 2])
    }

    @Test("whoever is left goes to the last exit, which needs no score")
    func last() {
        #expect(exit([0.5, 0.5], [0.1, 0.1]) == 2)
        #expect(Thresholds([0.5]).releases(score: -.infinity, at: 1))
        #expect(exit([], []) == 0)
    }

    @Test("a score that is not a number never leaves early")
    func notANumber() {
        #expect(exit([-.infinity], [.nan]) == 1)
    }

    @Test("one shared threshold is the same at every exit but the last")
    func shared() {
        #expect(Thresholds.shared(0.3, exitCount: 3) == Thresholds([0.3, 0.3]))
        #expect(Thresholds.shared(nil, exitCount: 3) == .neverLeaveEarly(exitCount: 3))
        #expect(Thresholds([0.1, nil]).exitCount == 3)
    }
}
