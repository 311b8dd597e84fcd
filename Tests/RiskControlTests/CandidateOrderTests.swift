import Evaluation
import Statistics
import Testing

@testable import RiskControl

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

    @Test("its names in files are those of the policy format")
    func names() {
        let names = CandidateOrder.allCases.map(\.rawValue)
        #expect(names == ["tune-p", "tune-z", "smoothed-z", "fallback", "single-pick"])
    }
}

/// Evidence of a path with everything that makes orders go wrong: equal costs, neighbours less than a percent apart and
/// far apart, evidence that rises, falls and jumps.
struct RandomEvidence: Sequence, IteratorProtocol {
    var generator: SplitMix64
    var remaining: Int

    init(seed: UInt64, count: Int) {
        generator = SplitMix64(seed: seed)
        remaining = count
    }

    mutating func next() -> CandidateOrder.Evidence? {
        guard remaining > 0 else { return nil }
        remaining -= 1
        let count = Int.random(in: 0...100, using: &generator)
        let largestStep = [0.005, 0.02, 0.3].randomElement(using: &generator)!
        var cost = 12.0
        let costs = (0..<count).map { _ in
            if Int.random(in: 0..<4, using: &generator) > 0 {
                cost *= 1 - Double.random(in: 0...largestStep, using: &generator)
            }
            return cost
        }
        let fall = [0, 0.02, 0.1].randomElement(using: &generator)!
        let z = (0..<count).map { 3 - fall * Double($0) + Double.random(in: -1...1, using: &generator) }
        let pValues = (0..<count).map { _ in Double(Int.random(in: 0...6, using: &generator)) / 6 }
        return CandidateOrder.Evidence(
            z: z, pValues: Bool.random(using: &generator) ? pValues : nil, costs: costs, fullCost: 12.5,
            sampleRatio: Double.random(in: 0.3...4, using: &generator), level: 0.05)
    }
}

/// Orders by their definitions, looking at all pairs.
enum NaiveOrder {
    /// The average over all that differ from a place by at most a width.
    static func smoothed(_ values: [Double], along places: [Double], width: Double) -> [Double] {
        places.map { place in
            let near = places.indices.filter { abs(places[$0] - place) <= width }
            return near.reduce(0) { $0 + values[$1] } / Double(near.count)
        }
    }

    static func smoothedZ(_ evidence: CandidateOrder.Evidence) -> [Double] {
        smoothed(
            evidence.z, along: evidence.costs.map { Double.log($0) }, width: CandidateOrder.smoothingWidth)
    }

    /// Those for which none with more evidence (a smaller `evidence`, then a larger `tie`) costs as little.
    static func frontier(_ evidence: [Double], tie: [Double], costs: [Double]) -> [Int] {
        let key = { (index: Int) in (evidence[index], -tie[index], costs[index], index) }
        return costs.indices.filter { own in
            !costs.indices.contains { key($0) < key(own) && costs[$0] <= costs[own] }
        }.sorted { key($0) < key($1) }
    }

    /// The candidate of the largest predicted power times cost saved, the safest of equals.
    static func pick(_ evidence: CandidateOrder.Evidence) -> Int? {
        let smooth = smoothedZ(evidence)
        let gains = smooth.indices.map { index in
            let expected = smooth[index] * evidence.sampleRatio.squareRoot()
            let power = 1 - Normal.cdf(-Normal.quantile(evidence.level) - expected)
            return power * (evidence.fullCost - evidence.costs[index])
        }
        guard let largest = gains.max() else { return nil }
        // The power is computed from the other side here, so gains that are equal may differ in their last bits.
        return gains.firstIndex { $0 >= largest - 1e-12 }
    }
}

@Suite("The plans of the orders")
struct CandidatePlanTests {
    @Test("have no candidate that costs as much as no early exit, and else are those of the others alone")
    func nothingSaved() {
        for evidence in RandomEvidence(seed: 61, count: 600) {
            for order in CandidateOrder.allCases {
                var dear = evidence
                dear.fullCost = 9
                let saving = evidence.costs.indices.filter { evidence.costs[$0] < 9 }
                var alone = dear
                alone.z = saving.map { evidence.z[$0] }
                alone.pValues = evidence.pValues.map { values in saving.map { values[$0] } }
                alone.costs = saving.map { evidence.costs[$0] }
                let plan = order.plan(dear)
                #expect(plan.candidates == order.plan(alone).candidates.map { saving[$0] })
                #expect(plan.starts == order.plan(alone).starts)
            }
        }
    }

    @Test("go from safe to fast without repeats: costs fall strictly along each", arguments: CandidateOrder.allCases)
    func costsFall(order: CandidateOrder) {
        for evidence in RandomEvidence(seed: 60, count: 600) {
            let plan = order.plan(evidence)
            let costs = plan.candidates.map { evidence.costs[$0] }
            #expect(zip(costs, costs.dropFirst()).allSatisfy { $0 > $1 })
            #expect(Set(plan.candidates).count == plan.candidates.count)
            #expect(plan.candidates.isEmpty == evidence.costs.isEmpty, "where there are candidates some are tested")
            #expect(plan.starts.first == (plan.candidates.isEmpty ? nil : 0))
            #expect(order == .fallback || plan.starts.count <= 1)
            #expect(order != .singlePick || plan.candidates.count <= 1)
        }
    }

    @Test(
        "steps of the smoothed orders save at least one percent each",
        arguments: [CandidateOrder.smoothedZ, .fallback])
    func steps(order: CandidateOrder) {
        var leftOut = 0
        for evidence in RandomEvidence(seed: 61, count: 600) {
            let candidates = order.plan(evidence).candidates
            let costs = candidates.map { evidence.costs[$0] }
            #expect(zip(costs, costs.dropFirst()).allSatisfy { $1 <= $0 * 0.99 })
            let smooth = NaiveOrder.smoothedZ(evidence)
            let frontier = NaiveOrder.frontier(
                smooth.map { -$0 }, tie: smooth.map { _ in 0 }, costs: evidence.costs)
            // Greedily from the safest on; nothing is left out but for its small step.
            var expected: [Int] = []
            for candidate in frontier {
                if let last = expected.last, evidence.costs[candidate] > evidence.costs[last] * 0.99 { continue }
                expected.append(candidate)
            }
            #expect(candidates == expected)
            leftOut += frontier.count - expected.count
        }
        #expect(leftOut > 300, "small steps come up: \(leftOut)")
    }

    @Test("by p the p-values order, z where they tie or are missing; by z nothing else does")
    func evidenceUsed() {
        for evidence in RandomEvidence(seed: 62, count: 600) {
            let negative = evidence.z.map { -$0 }
            let byP = NaiveOrder.frontier(evidence.pValues ?? negative, tie: evidence.z, costs: evidence.costs)
            #expect(CandidateOrder.tuneP.plan(evidence).candidates == byP)
            let byZ = NaiveOrder.frontier(negative, tie: evidence.z, costs: evidence.costs)
            #expect(CandidateOrder.tuneZ.plan(evidence).candidates == byZ)
        }
    }

    @Test("the fallback order is the smoothed one, started anew where half of what it saves is saved")
    func fallbackStarts() {
        var several = 0
        for evidence in RandomEvidence(seed: 63, count: 600) {
            let plan = CandidateOrder.fallback.plan(evidence)
            let candidates = CandidateOrder.smoothedZ.plan(evidence).candidates
            #expect(plan.candidates == candidates)
            guard candidates.count > 1 else { continue }
            let costs = candidates.map { evidence.costs[$0] }
            let half = costs.firstIndex { costs[0] - $0 >= (costs[0] - costs[costs.count - 1]) / 2 }!
            #expect(plan.starts == [0, half])
            several += half > 1 ? 1 : 0
        }
        #expect(several > 100, "starts other than the first two candidates come up: \(several)")
    }

    @Test("the single pick has the largest product of predicted power and cost saved")
    func singlePick() {
        var picks = Set<Int>()
        for evidence in RandomEvidence(seed: 64, count: 600) {
            let pick = CandidateOrder.singlePick.plan(evidence).candidates.first
            #expect(pick == NaiveOrder.pick(evidence))
            if let pick { picks.insert(pick) }
        }
        #expect(picks.count > 10)
    }

    @Test("the single pick grows bolder with the certify split and more cautious with a smaller level")
    func pickByHand() {
        // Far apart, so z stays as it is: power .99 saves 2, .5 saves 4.5 at the size of tune; at four times the size
        // z counts double, .95 and up.
        var evidence = CandidateOrder.Evidence(
            z: [4, 1.645], costs: [8, 5.5], fullCost: 10, sampleRatio: 1, level: 0.05)
        #expect(CandidateOrder.singlePick.plan(evidence).candidates == [1])
        evidence.level = 0.001
        #expect(CandidateOrder.singlePick.plan(evidence).candidates == [0])
        evidence.sampleRatio = 4
        #expect(CandidateOrder.singlePick.plan(evidence).candidates == [1])
    }

    @Test("only ratios of costs matter, and p-values only where the order is by p", arguments: CandidateOrder.allCases)
    func invariance(order: CandidateOrder) {
        for evidence in RandomEvidence(seed: 65, count: 300) {
            let plan = order.plan(evidence)
            var other = evidence
            other.costs = evidence.costs.map { $0 * 1024 }
            other.fullCost = evidence.fullCost * 1024
            #expect(order.plan(other) == plan)
            other = evidence
            other.pValues = order == .tuneP ? evidence.pValues : evidence.z.map { _ in 0.5 }
            other.sampleRatio = order == .singlePick ? evidence.sampleRatio : 17
            other.level = order == .singlePick ? evidence.level : 0.3
            #expect(order.plan(other) == plan)
        }
    }
}

@Suite("Evidence of candidates")
struct CandidateEvidenceTests {
    @Test("smoothing is the average over the neighbours within the width, both ends included")
    func smoothing() {
        var generator = SplitMix64(seed: 66)
        for _ in 0..<1000 {
            let count = Int.random(in: 0...40, using: &generator)
            // Quarters, so that places differ by exactly the width often.
            let places = (0..<count).map { _ in Double(Int.random(in: 0...24, using: &generator)) / 4 }.sorted(by: >)
            let values = (0..<count).map { _ in Double.random(in: -3...3, using: &generator) }
            let width = Double(Int.random(in: 0...4, using: &generator)) / 4
            let smooth = CandidateOrder.smoothed(values, along: places, width: width)
            let expected = NaiveOrder.smoothed(values, along: places, width: width)
            // Differences of running sums, each of which errs by at most `count` roundings of `3 count`.
            let tolerance = Double(4 * count * count) * 3 * Double.ulpOfOne
            #expect(smooth.count == count && zip(smooth, expected).allSatisfy { abs($0 - $1) <= tolerance })
        }
    }

    @Test("along costs, it is by their ratio: neighbours within a factor of e^0.2")
    func smoothingAlongCosts() {
        let width = CandidateOrder.smoothingWidth
        let costs = [0, 0.9, 1.1, 3].map { 8 * Double.exp(-$0 * width) }
        #expect(CandidateOrder.smoothed([1, 3, 5, 7], alongCosts: costs) == [2, 3, 4, 7])
        for evidence in RandomEvidence(seed: 67, count: 300) {
            let smooth = CandidateOrder.smoothed(evidence.z, alongCosts: evidence.costs)
            #expect(zip(smooth, NaiveOrder.smoothedZ(evidence)).allSatisfy { abs($0 - $1) < 1e-12 })
        }
    }

    @Test("the z of counts is pairedZ at gap 0, rises with the gap and helpful flips, falls with harmful ones")
    func gapZ() {
        for samples in [12, 300] {
            for harmful in 0...6 {
                for helpful in 0...5 {
                    func z(_ harmful: Int, _ helpful: Int, _ gap: Double) -> Double {
                        RiskControl.gapZ(
                            PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful),
                            allowedGap: gap)
                    }
                    let counts = PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful)
                    #expect(abs(z(harmful, helpful, 0) - pairedZ(counts)) <= 1e-14 * (1 + abs(pairedZ(counts))))
                    for gap in [0, 0.02, 0.2] {
                        #expect(z(harmful, helpful, gap + 0.01) > z(harmful, helpful, gap))
                        #expect(z(harmful, helpful + 1, gap) > z(harmful, helpful, gap) || harmful + helpful == 0)
                        #expect(z(harmful + 1, helpful, gap) < z(harmful, helpful, gap))
                    }
                }
            }
        }
    }

    @Test("its sign says on which side of the allowed gap the counts are, and it stays finite")
    func gapZSign() {
        func z(_ samples: Int, _ harmful: Int, _ gap: Double) -> Double {
            RiskControl.gapZ(
                PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: 0), allowedGap: gap)
        }
        #expect(z(100, 4, 0.05) > 0 && z(100, 6, 0.05) < 0 && abs(z(64, 4, 1 / 16)) < 1e-12)
        // No variance is left under a gap of 1.
        #expect(z(5, 0, 1) == 1e6)
        #expect(z(0, 0, 0.05) == 0)
    }
}
