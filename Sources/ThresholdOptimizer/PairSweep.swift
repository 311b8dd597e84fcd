import ExitRules

/// An exact search over the thresholds of two exits, the others fixed.
///
/// The first exit's threshold falls from "never", breakpoint by breakpoint, and takes samples away from what the second
/// exit can release. With the second exit's samples in trees of prefix sums, its best threshold is, at each breakpoint,
/// one descent of a tree: along one exit the best point is the last one with the least violation.
struct PairSweep: Sendable {
    private let search: CoordinateSearch
    private let costs: [Double]
    /// Costs no further apart than this are compared by counting, because sums of differences are rounded.
    private let tolerance: Double
    /// The cuts that a pair is to be moved from, and how good they are.
    private var cuts: [Int] = []
    private var rank: PolicyRank
    private var later: LaterExits
    /// The exit that `waiting` is about.
    private var firstExit: Int?
    /// Who waits at that exit, by rank there, with the cut that releases each; those no cut releases come last.
    private var waiting: [(sample: Int, cut: Int)] = []
    private var movers: [Mover] = []
    private var sums = PrefixSums()

    /// What it changes that a sample leaves at the first exit; and what at the second, if it can be released there.
    private struct Mover {
        var cut: Int
        /// Against both exits being closed to it.
        var excess: Int
        var cost: Double
        /// Its step among the sums of the second exit; -1 if it cannot be released there.
        var step = -1
        var secondExcess: Int32 = 0
        var secondSaving = 0.0
    }

    /// A pair of cuts and how good they are.
    private struct Candidate {
        var cuts: (Int, Int)
        var violation: Int
        /// Rounded.
        var cost: Double
        var excess: Int
        /// What counting says, where it was necessary.
        var rank: PolicyRank?
    }

    /// Stands at some cuts.
    ///
    /// - Complexity: O(N L).
    init(_ search: CoordinateSearch, cuts: [Int]) {
        self.search = search
        self.cuts = cuts
        costs = search.table.costs
        let size = Double(search.table.sampleCount) * costs[costs.count - 1]
        // Sums of whole numbers are exact.
        tolerance = costs.allSatisfy { $0 == $0.rounded() } && size < 1e15 ? 0 : 1e-9 * size
        later = search.laterExits(cuts: cuts)
        rank = search.rank(later)
    }

    /// Goes on from other cuts.
    ///
    /// - Complexity: O(N L).
    mutating func move(to cuts: [Int]) {
        self.cuts = cuts
        later = search.laterExits(cuts: cuts)
        rank = search.rank(later)
        firstExit = nil
    }

    /// The best cuts for two exits; nil unless they are strictly better than the present ones.
    ///
    /// - Precondition: no single move of the second exit improves the present cuts.
    /// - Complexity: O(W log W + N / 64), W samples waiting at the first exit; O(N L) more for some ties.
    mutating func best(first: Int, second: Int) -> (Int, Int)? {
        if firstExit != first { enter(first) }
        var (excess, cost) = close(first: first, second: second)
        // The last cut up to the present one that moves anyone: the same policy. No single move of the second exit
        // improves it.
        let present = waiting.last { $0.cut <= cuts[first] }?.cut ?? 0
        let start = Candidate(
            cuts: (cuts[first], cuts[second]), violation: rank.violation, cost: rank.costSum, excess: rank.excess,
            rank: rank)
        var best = start
        var cut = 0
        var next = 0
        while true {
            if cut != present { consider(cut, excess: excess, cost: cost, best: &best, exits: (first, second)) }
            guard next < movers.count, movers[next].cut != .max else { break }
            cut = movers[next].cut
            while next < movers.count, movers[next].cut == cut {
                let mover = movers[next]
                excess += mover.excess
                cost += mover.cost
                if mover.step >= 0 {
                    sums.remove(step: mover.step, excess: mover.secondExcess, saving: mover.secondSaving)
                }
                next += 1
            }
        }
        return best.cuts == start.cuts ? nil : (best.cuts.0, highest(best.cuts, first: first, second: second))
    }

    /// The highest threshold of the second exit, as a cut, that makes the same policy as the one found.
    private func highest(_ found: (first: Int, second: Int), first: Int, second: Int) -> Int {
        let (between, ranks) = (later.exits[first], search.ranks[second])
        var cut = 0
        for (sample, firstCut) in waiting where firstCut > found.first && between[sample] >= second {
            let own = ranks[sample]
            if own < found.second { cut = max(cut, Int(own) + 1) }
        }
        return cut
    }

    /// Finds who waits at the first exit of pairs.
    private mutating func enter(_ first: Int) {
        firstExit = first
        let ranks = search.ranks[first]
        let taken = later.taken
        waiting.removeAll(keepingCapacity: true)
        for entry in search.rankings[first].order where taken[Int(entry)] >= first {
            waiting.append((Int(entry), Int(ranks[Int(entry)]) + 1))
        }
        guard search.rankings[first].order.count < ranks.count else { return }
        for sample in ranks.indices where taken[sample] >= first && ranks[sample] == .max {
            waiting.append((sample, .max))
        }
    }

    /// Closes both exits, and finds what opening them changes.
    ///
    /// - Returns: the excess and the cost when both are closed.
    private mutating func close(first: Int, second: Int) -> (excess: Int, cost: Double) {
        let (firstFlips, secondFlips) = (search.flips[first], search.flips[second])
        let (between, afterwards) = (later.exits[first], later.exits[second])
        let (betweenFlips, afterwardsFlips) = (later.flips[first], later.flips[second])
        let ranks = search.ranks[second]
        var excess = rank.excess
        var cost = rank.costSum
        sums.reset(rankCount: search.rankings[second].count)
        movers.removeAll(keepingCapacity: true)
        for (sample, cut) in waiting {
            let isBetween = between[sample] < second
            let flip = (isBetween ? betweenFlips : afterwardsFlips)[sample]
            let closedCost = costs[Int((isBetween ? between : afterwards)[sample])]
            excess += Int(flip) - Int(later.takenFlips[sample])
            cost += closedCost - costs[Int(later.taken[sample])]
            var mover = Mover(cut: cut, excess: Int(firstFlips[sample]) - Int(flip), cost: costs[first] - closedCost)
            if !isBetween, ranks[sample] != .max {
                let rank = Int(ranks[sample])
                mover.step = rank
                mover.secondExcess = Int32(secondFlips[sample] - flip)
                mover.secondSaving = closedCost - costs[second]
                if mover.secondExcess != 0 { sums.mark(rank: rank) }
            }
            movers.append(mover)
        }
        sums.divide()
        for index in movers.indices where movers[index].step >= 0 {
            movers[index].step = sums.step(rank: movers[index].step)
            let mover = movers[index]
            sums.add(step: mover.step, excess: mover.secondExcess, saving: mover.secondSaving)
        }
        sums.build()
        return (excess, cost)
    }

    /// Takes the best cut of the second exit beside a cut of the first, if it is better.
    ///
    /// - Parameters:
    ///   - excess: that of all samples with the second exit closed.
    ///   - cost: likewise.
    private func consider(_ cut: Int, excess: Int, cost: Double, best: inout Candidate, exits: (Int, Int)) {
        let least = sums.leastExcess
        let violation = max(0, excess + least - search.largestExcess)
        guard violation <= best.violation else { return }
        // At best everyone left leaves at the second exit.
        if violation == best.violation, cost - sums.totalSavings > best.cost + tolerance { return }
        let (step, added) = sums.last(excessAtMost: max(least, search.largestExcess - excess))
        var candidate = Candidate(
            cuts: (cut, sums.cut(step: step)), violation: violation, cost: cost - sums.savings(step: step),
            excess: excess + added)
        if isBetter(&candidate, than: &best, exits: exits) { best = candidate }
    }

    private func isBetter(_ left: inout Candidate, than right: inout Candidate, exits: (Int, Int)) -> Bool {
        if left.violation != right.violation { return left.violation < right.violation }
        if abs(left.cost - right.cost) > tolerance { return left.cost < right.cost }
        if tolerance == 0, left.excess != right.excess { return left.excess < right.excess }
        return counted(&left, exits: exits) < counted(&right, exits: exits)
    }

    private func counted(_ candidate: inout Candidate, exits: (Int, Int)) -> PolicyRank {
        if let rank = candidate.rank { return rank }
        var cuts = cuts
        (cuts[exits.0], cuts[exits.1]) = candidate.cuts
        let rank = search.rank(cuts: cuts)
        candidate.rank = rank
        return rank
    }
}
