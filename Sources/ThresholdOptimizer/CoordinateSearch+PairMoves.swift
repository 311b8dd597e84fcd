import ExitRules

/// Where samples leave; and, for each exit, where a sample goes that leaves neither there nor before.
struct LaterExits: Sendable {
    /// [exits - 1][samples]: the exit it takes.
    var exits: [[Int32]]
    /// [exits - 1][samples]: the flip that adds.
    var flips: [[Int8]]
    /// [samples]: the exit it takes now.
    var taken: [Int32]
    /// [samples]: the flip that adds.
    var takenFlips: [Int8]
}

extension CoordinateSearch {
    /// From how many of the best ends two thresholds are moved at once: a round of pairs grows with the square of the exits.
    private var pairDescents: Int { rankings.count <= 8 ? 3 : 2 }

    /// Improves the best few of some cuts that no single move improves.
    func improveByPairs(_ ends: inout [[Int]]) {
        let ranks = ends.map { rank(cuts: $0) }
        var improved: [[Int]: [Int]] = [:]
        for index in ends.indices.sorted(by: { (ranks[$0], $0) < (ranks[$1], $1) }) {
            if let known = improved[ends[index]] {
                ends[index] = known
            } else if improved.count < pairDescents {
                let end = improvedByPairs(ends[index])
                improved[ends[index]] = end
                ends[index] = end
            }
        }
    }

    /// Moves until no single cut and no two can be improved. Every move lowers the rank, so there are finitely many.
    func improvedByPairs(_ start: [Int]) -> [Int] {
        var cuts = improved(start)
        let exits = rankings.indices
        let pairs = exits.flatMap { first in exits.dropFirst(first + 1).map { (first, $0) } }
        var sweep = PairSweep(self, cuts: cuts)
        var next = 0
        var untried = pairs.count
        while untried > 0 {
            let (first, second) = pairs[next]
            next = (next + 1) % pairs.count
            untried -= 1
            guard let found = sweep.best(first: first, second: second) else { continue }
            (cuts[first], cuts[second]) = found
            cuts = improved(cuts)
            sweep.move(to: cuts)
            untried = pairs.count
        }
        return cuts
    }

    /// Where samples go from each exit.
    ///
    /// - Complexity: O(N L).
    func laterExits(cuts: [Int]) -> LaterExits {
        let last = rankings.count
        var exits = Array(repeating: [Int32](), count: last)
        var later = Array(repeating: [Int8](), count: last)
        var row = Array(repeating: Int32(last), count: table.sampleCount)
        var rowFlips = flips[last]
        for exit in rankings.indices.reversed() {
            exits[exit] = row
            later[exit] = rowFlips
            row.overwrite(with: Int32(exit), where: ranks[exit], areBelow: cuts[exit])
            rowFlips.overwrite(with: flips[exit], where: ranks[exit], areBelow: cuts[exit])
        }
        return LaterExits(exits: exits, flips: later, taken: row, takenFlips: rowFlips)
    }
}
