import Testing

@testable import beem

@Suite("The text of a progress bar")
struct ProgressTextTests {
    private let text = ProgressText(title: "Drawing")

    @Test("says how much is done, how fast, and how long the rest takes")
    func steps() {
        #expect(
            text.line(done: 120, total: 200, elapsed: 8.45)
                == "Drawing [##################............] 120/200, 14.2/s, 6 s left")
        #expect(
            text.line(done: 200, total: 200, elapsed: 10)
                == "Drawing [##############################] 200/200, 20.0/s, 0 s left")
    }

    @Test("claims neither rate nor time left before there is anything to tell them from")
    func start() {
        let empty = "Drawing [..............................] 0/200"
        #expect(text.line(done: 0, total: 200, elapsed: 3) == empty)
        #expect(text.line(done: 0, total: 200, elapsed: 0) == empty)
        #expect(text.line(done: 0, total: 0, elapsed: 1).hasSuffix("0/0"))
    }

    @Test("keeps what is told of a training")
    func training() {
        let line = ProgressText(title: "Training heads", columns: 120).line(
            fraction: 0.25, what: "3/12, loss 0.3312, tune error 12.1 %", elapsed: 2)
        #expect(
            line
                == "Training heads [#######.......................] 3/12, loss 0.3312, tune error 12.1 %, 6 s left")
    }

    @Test("fits on one line of any terminal, with a shorter bar or none", arguments: 1...130)
    func columns(columns: Int) {
        let line = ProgressText(title: "Drawing", columns: columns).line(done: 120, total: 200, elapsed: 8.45)
        #expect(line.count < columns)
        #expect(line.contains("[") == (columns > 44), "\(line)")
        if columns > 33 { #expect(line.hasSuffix("120/200, 14.2/s, 6 s left")) }
    }

    @Test("has rates and durations that a reader takes in at a glance")
    func numbers() {
        #expect([0.02, 0.996, 14.21, 230.4].map(ProgressText.rate) == ["0.02/s", "1.0/s", "14.2/s", "230/s"])
        #expect(
            [0, 0.2, 59, 60, 125, 3599.5, 12_000].map(ProgressText.duration)
                == ["0 s", "1 s", "59 s", "1 min 0 s", "2 min 5 s", "1 h 0 min", "3 h 20 min"])
    }
}
