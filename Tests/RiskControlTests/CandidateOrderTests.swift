import Evaluation
import RiskControl
import Statistics
import Testing

@Suite("The order of candidates")
struct CandidateOrderTests {
    @Test("runs along the frontier of p-value and cost, from safe to fast")
    func byHand() {
        let pValues = [0.50, 0.01, 0.02, 0.02, 0.30, 0.02]
        let costs: [Double] = [3.0, 9.0, 7.0, 6.0, 8.0, 6.0]
        // 1 is surest; of the three at 0.02 the cheaper 3 comes first and 2 and 5 can only lose; 4 costs more than 3.
        #expect(CandidateOrder.frontier(pValues: pValues, costs: costs) == [1, 3, 0])
    }

    @Test("where p-values are equal the z-statistic decides, then the cost")
    func ties() {
        let order = CandidateOrder.frontier(
            pValues: [0, 0, 0, 0], zStatistics: [40, 45, 45, 41], costs: [1, 3, 2, 1])
        #expect(order == [2, 3])
    }

    @Test("agrees with the definition, looking at all pairs, on thousands of random sets with ties")
    func definition() {
        var generator = SplitMix64(seed: 11)
        for _ in 0..<3000 {
            let count = Int.random(in: 0...8, using: &generator)
            let pValues = (0..<count).map { _ in Double(Int.random(in: 0...4, using: &generator)) / 4 }
            let costs = (0..<count).map { _ in Double(Int.random(in: 1...5, using: &generator)) }
            let order = CandidateOrder.frontier(pValues: pValues, costs: costs)
            let key = { (index: Int) in (pValues[index], costs[index], index) }
            let expected = (0..<count).filter { own in
                !(0..<count).contains { key($0) < key(own) && costs[$0] <= costs[own] }
            }.sorted { key($0) < key($1) }
            #expect(order == expected)
            #expect(zip(order, order.dropFirst()).allSatisfy { costs[$0] > costs[$1] && pValues[$0] <= pValues[$1] })
        }
    }

    @Test("on counts: p-values order by exact evidence, z orders by standard errors, and both go on when p underflows")
    func counts() {
        let counts = [
            PairedCounts(samples: 5000, harmfulFlips: 0, helpfulFlips: 1500),
            PairedCounts(samples: 5000, harmfulFlips: 0, helpfulFlips: 1600),
            PairedCounts(samples: 5000, harmfulFlips: 20, helpfulFlips: 30),
            PairedCounts(samples: 5000, harmfulFlips: 0, helpfulFlips: 3),
        ]
        #expect(exactBinomialPValue(counts[0]) == 0 && exactBinomialPValue(counts[1]) == 0)
        let costs = [8.0, 9.0, 2.0, 3.0]
        // p: 0, 0, 0.101, 0.125; z: 38.7, 40, 1.41, 1.73.
        #expect(CandidateOrder.tunePValue.candidates(counts: counts, costs: costs) == [1, 0, 2])
        #expect(CandidateOrder.tuneZ.candidates(counts: counts, costs: costs) == [1, 0, 3, 2])
    }

    @Test("its names in files are those of the policy format")
    func names() {
        #expect(CandidateOrder(rawValue: "tune-z") == .tuneZ && CandidateOrder(rawValue: "tune-p") == .tunePValue)
    }
}
