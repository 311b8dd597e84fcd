import TestSupport
import Testing

@testable import Ranks

@Suite("Ranks")
struct CommunicatorTests {
    @Test("gather what each has, in the order of the ranks", arguments: [1, 2, 5])
    func gathering(count: Int) {
        let results = ThreadRanks.run(count) { ranks in
            ranks.gathered([Int32](repeating: Int32(ranks.rank), count: ranks.rank))
        }
        let expected = (0..<count).flatMap { [Int32](repeating: Int32($0), count: $0) }
        #expect(results == Array(repeating: expected, count: count))
    }

    @Test("get every rank's elements apart")
    func parts() {
        let results = ThreadRanks.run(3) { ranks in ranks.gatheredParts(Array(0..<ranks.rank)) }
        #expect(results == Array(repeating: [[], [0], [0, 1]], count: 3))
        #expect(OneProcess().gatheredParts([4, 5]) == [[4, 5]])
    }

    @Test("add up, and find the largest")
    func reductions() {
        let sums = ThreadRanks.run(4) { $0.sums([1, $0.rank]) }
        #expect(sums == Array(repeating: [4, 6], count: 4))
        let maxima = ThreadRanks.run(4) { $0.maxima([UInt64($0.rank), .max - UInt64($0.rank)]) }
        #expect(maxima == Array(repeating: [3, .max], count: 4))
        #expect(ThreadRanks.run(3) { $0.any($0.rank == 1) } == [true, true, true])
        #expect(ThreadRanks.run(3) { _ in OneProcess().any(false) } == [false, false, false])
    }

    @Test("divide things into parts that follow one another and differ by at most one", arguments: [1, 2, 3, 7, 64])
    func division(count: Int) {
        for things in [0, 1, 5, 64, 1000] {
            let parts = ThreadRanks.run(count) { $0.part(of: things) }
            #expect(parts.flatMap { Array($0) } == Array(0..<things))
            #expect(parts.map(\.count).max()! - parts.map(\.count).min()! <= 1)
        }
    }

    @Test("know what they have exchanged")
    func traffic() {
        let traffic = ThreadRanks.run(2) { ranks in
            _ = ranks.gathered([1.0, 2])
            _ = ranks.sums([1])
            return ranks.traffic
        }
        var expected = Traffic()
        expected.calls = 2
        expected.bytes = 32 + 16
        #expect(traffic == [expected, expected])
    }
}
