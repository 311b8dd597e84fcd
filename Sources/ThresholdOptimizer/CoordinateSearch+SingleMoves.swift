import ExitRules

extension CoordinateSearch {
    /// What a pass over the exits knows when it comes to one of them.
    struct Pass {
        /// [samples]: -1 for a sample that has not left before this exit, else 0.
        var waiting: [Int8]

        init(sampleCount: Int) {
            waiting = Array(repeating: -1, count: sampleCount)
        }

        /// Lets the samples of a rank below `cut` leave.
        mutating func release(cut: Int, ranks: [Int32]) {
            waiting.overwrite(with: 0, where: ranks, areBelow: cut)
        }
    }

    /// Passes until one moves nothing. Every move lowers (violation, cost), so there are finitely many.
    func improved(_ start: [Int]) -> [Int] {
        var cuts = start
        // The last exit that moved, in this pass or the one before: a pass that gets back there without a move has seen
        // all exits at rest.
        var lastMoved = rankings.count - 1
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            // A pass goes forward, so what lies after an exit is, when the pass gets there, as it was at its start.
            let (later, present) = flipsOfLaterExits(cuts: cuts)
            var excess = present
            var pass = Pass(sampleCount: table.sampleCount)
            for exit in rankings.indices {
                if moveToBest(&cuts[exit], exit: exit, excess: &excess, later: later[exit], waiting: pass.waiting) {
                    hasMoved = true
                    lastMoved = exit
                } else if !hasMoved, exit == lastMoved {
                    break
                }
                pass.release(cut: cuts[exit], ranks: ranks[exit])
            }
        }
        return cuts
    }

    /// Moves one exit to its best cut.
    func improved(_ start: [Int], exit: Int) -> [Int] {
        var cuts = start
        var pass = Pass(sampleCount: table.sampleCount)
        for earlier in 0..<exit { pass.release(cut: cuts[earlier], ranks: ranks[earlier]) }
        let (later, present) = flipsOfLaterExits(cuts: cuts)
        var excess = present
        _ = moveToBest(&cuts[exit], exit: exit, excess: &excess, later: later[exit], waiting: pass.waiting)
        return cuts
    }

    /// [exits - 1][samples]: the flip a sample adds when it does not leave at the exit or before; and the sum of the flips
    /// of all samples.
    private func flipsOfLaterExits(cuts: [Int]) -> (later: [[Int8]], excess: Int) {
        var later = Array(repeating: [Int8](), count: rankings.count)
        var row = flips[table.exitCount - 1]
        for exit in rankings.indices.reversed() {
            later[exit] = row
            row.overwrite(with: flips[exit], where: ranks[exit], areBelow: cuts[exit])
        }
        return (later, row.reduce(0) { $0 + Int($1) })
    }

    /// Moves an exit to its best cut, or leaves it at the current one unless another is strictly better.
    ///
    /// - Parameter excess: that of all samples; it moves along.
    /// - Complexity: O(N), sequential in the order of scores.
    private func moveToBest(
        _ current: inout Int, exit: Int, excess present: inout Int, later: [Int8], waiting: [Int8]
    ) -> Bool {
        let ranking = rankings[exit]
        let flips = flips[exit]
        // What a sample adds by leaving here; those that have left add nothing. No branches: who waits is hard to predict.
        func added(_ sample: Int) -> Int { Int((flips[sample] &- later[sample]) & waiting[sample]) }
        var excess = present
        for sample in ranking.released(through: current) { excess -= added(Int(sample)) }
        var best = 0
        var bestExcess = excess
        var leastViolation = max(0, excess - largestExcess)
        // The last cut up to the current one that moved anyone: the same policy as the current cut.
        var sameAsCurrent = 0
        for cut in 1..<(ranking.count + 1) {
            var moved: Int8 = 0
            for position in ranking.ends[cut - 1]..<ranking.ends[cut] {
                let sample = Int(ranking.order[position])
                excess += added(sample)
                moved |= waiting[sample]
            }
            if moved != 0, cut <= current { sameAsCurrent = cut }
            let violation = max(0, excess - largestExcess)
            // Each cut that moves anyone is cheaper than all before, so equal violation is enough.
            if violation <= leastViolation, moved != 0 {
                leastViolation = violation
                best = cut
                bestExcess = excess
            }
        }
        if best == sameAsCurrent { return false }
        current = best
        present = bestExcess
        return true
    }
}
