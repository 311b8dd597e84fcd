import ExitRules

/// The best choices at the last three exits, those before them fixed: exact, without a search.
///
/// As in ``TripleSweep``, but with the two counts of the problem itself, cost and excess, in integers.
struct TailSweep: Sendable {
    private let grid: SearchGrid
    /// The first of the three exits.
    private let first: Int
    /// How many choices there are at the third exit.
    private let width: Int
    /// [ranks at the second exit][choices at the third]: how many samples of the rank a choice releases at the third
    /// exit, and what that adds to the excess of the last exit.
    private var counts: [Int32]
    private var excesses: [Int32]
    /// [ranks at the second exit]: the same for the second exit.
    private var rowCounts: [Int]
    private var rowExcesses: [Int]

    init(grid: SearchGrid) {
        precondition(grid.sampleCount <= Int32.max, "a table has at most \(Int32.max) samples")
        self.grid = grid
        first = grid.earlyExitCount - SearchGrid.sweptExits
        width = grid.valueCounts[first + 2] + 1
        rowCounts = Array(repeating: 0, count: grid.valueCounts[first + 1] + 1)
        rowExcesses = rowCounts
        counts = Array(repeating: 0, count: rowCounts.count * width)
        excesses = counts
    }

    /// Offers the incumbent every admissible way on that is at least as cheap.
    ///
    /// - Complexity: O(waiting * K + K^3), and O(N L / 64) for each offer.
    mutating func run(_ branch: SearchGrid.Branch, incumbent: inout Incumbent) {
        precondition(branch.choices.count == first, "three exits are open")
        let waiting = RankedSamples(branch.waiting, ranks: grid.ranks[first], valueCount: grid.valueCounts[first])
        let final = grid.flips[first + 3]
        var branch = branch
        // As if all who wait went to the end.
        branch.released[first + 3] = waiting.samples.count
        for sample in waiting.samples {
            branch.excess += Int(final[sample])
            count(sample, sign: 1)
        }
        branch.choices.append(0)
        for choice in 0..<(grid.valueCounts[first] + 1) where waiting.isDistinct(choice: choice) {
            if choice > 0 {
                for sample in waiting.samples[waiting.starts[choice - 1]..<waiting.starts[choice]] {
                    branch.excess += Int(grid.flips[first][sample] - final[sample])
                    branch.released[first] += 1
                    branch.released[first + 3] -= 1
                    count(sample, sign: -1)
                }
            }
            branch.choices[first] = choice
            sweepPairs(branch, incumbent: &incumbent)
        }
        // Those who never leave at the first exit are still counted.
        for sample in waiting.samples[waiting.starts[grid.valueCounts[first]]...] { count(sample, sign: -1) }
    }

    /// Counts a sample, or takes it out.
    private mutating func count(_ sample: Int, sign: Int32) {
        let row = Int(grid.ranks[first + 1][sample])
        let final = grid.flips[first + 3][sample]
        rowCounts[row] += Int(sign)
        rowExcesses[row] += Int(sign * (grid.flips[first + 1][sample] - final))
        let change = sign * (grid.flips[first + 2][sample] - final)
        for place in (row * width + Int(grid.ranks[first + 2][sample]) + 1)..<((row + 1) * width) {
            counts[place] += sign
            excesses[place] += change
        }
    }

    /// Looks at the pairs of choices at the last two exits that might be as good as the incumbent.
    ///
    /// - Parameter branch: with the choice at the first exit, and with all who wait counted at the last.
    private func sweepPairs(_ branch: SearchGrid.Branch, incumbent: inout Incumbent) {
        var excess = branch.excess + rowExcesses.dropLast().reduce(0, +)
        var second = rowCounts.dropLast().reduce(0, +)
        var thirds = Array(repeating: Int32(0), count: width)
        var thirdExcesses = thirds
        var released = branch.released
        // From everyone who can leave at the second exit up to "never": each row adds to those who go on.
        for choice in rowCounts.indices.reversed() {
            add(counts, row: choice, to: &thirds)
            add(excesses, row: choice, to: &thirdExcesses)
            if choice == 0 || rowCounts[choice - 1] > 0 {
                // From the cheapest choice at the third exit up, until it costs too much.
                for third in (0..<width).reversed() where third == 0 || thirds[third - 1] < thirds[third] {
                    released[first + 1] = second
                    released[first + 2] = Int(thirds[third])
                    released[first + 3] = branch.released[first + 3] - second - released[first + 2]
                    let cost = totalCost(released: released, costs: grid.costs)
                    if cost > incumbent.costLimit { break }
                    let excess = excess + Int(thirdExcesses[third])
                    if excess <= grid.largestExcess, cost < incumbent.costLimit || excess <= incumbent.rank.excess {
                        let choices = branch.choices + [choice, third]
                        incumbent.offer(choices, rank: grid.rank(of: choices))
                    }
                }
            }
            if choice > 0 {
                second -= rowCounts[choice - 1]
                excess -= rowExcesses[choice - 1]
            }
        }
    }

    private func add(_ rows: [Int32], row: Int, to sums: inout [Int32]) {
        rows.withUnsafeBufferPointer { rows in
            sums.withUnsafeMutableBufferPointer { sums in
                for index in sums.indices { sums[index] &+= rows[row * width + index] }
            }
        }
    }
}
