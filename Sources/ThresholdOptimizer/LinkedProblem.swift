/// The relaxation of one branch at some multipliers, over the samples that wait; see ``LinkedRelaxation``.
struct LinkedProblem {
    /// What is relaxed, and at what price.
    struct Multipliers {
        /// The price of a flip, at least 0.
        var price: Double
        /// [exits - 1][samples]: the multiplier on a sample's say at an exit.
        var links: [[Double]]
    }

    private let grid: SearchGrid
    private let branch: SearchGrid.Branch
    /// Who waits, in the order in which the first open exit releases them; "waiting" below counts in this order.
    private let waiting: RankedSamples
    /// The first open exit.
    private let first: Int
    /// The exits behind the three that are swept.
    private let linked: Range<Int>
    /// [open exits][waiting]; the last exit is among them.
    private let flips: [[Double]]
    /// [open exits][waiting]; without the last exit.
    private let ranks: [[Int]]

    private var price: Double
    /// [linked exits][waiting].
    private var links: [[Double]]

    // The minima at the present multipliers:
    /// [waiting]: the exit a sample takes if none of the three releases it.
    private var tailExits: [Int]
    /// The choices at the open exits.
    private(set) var solution: [Int]

    // The direction of the last step:
    private var priceDirection = 0.0
    private var linkDirections: [[Double]]

    init(grid: SearchGrid, branch: SearchGrid.Branch, multipliers: Multipliers) {
        let first = branch.choices.count
        let waiting = RankedSamples(branch.waiting, ranks: grid.ranks[first], valueCount: grid.valueCounts[first])
        self.grid = grid
        self.branch = branch
        self.first = first
        self.waiting = waiting
        linked = (first + SearchGrid.sweptExits)..<grid.earlyExitCount
        flips = grid.flips[first...].map { row in waiting.samples.map { Double(row[$0]) } }
        ranks = grid.ranks[first...].map { row in waiting.samples.map { Int(row[$0]) } }
        price = multipliers.price
        links = linked.map { exit in waiting.samples.map { multipliers.links[exit][$0] } }
        linkDirections = linked.map { _ in Array(repeating: 0, count: waiting.samples.count) }
        tailExits = Array(repeating: grid.earlyExitCount, count: waiting.samples.count)
        solution = Array(repeating: 0, count: grid.earlyExitCount - first)
    }

    /// Writes the multipliers back.
    func store(in multipliers: inout Multipliers) {
        multipliers.price = price
        for (exit, row) in zip(linked, links) {
            for (sample, value) in zip(waiting.samples, row) { multipliers.links[exit][sample] = value }
        }
    }

    /// The bounds at the present multipliers, one for each choice at the first open exit, rounded down.
    mutating func solve() -> [Double] {
        let last = grid.earlyExitCount
        let finalCost = grid.costs[last]
        // From the last exit forward: the cheapest way on for each sample, and what it gets for says that it never has to
        // use, since it has left before.
        var tails = flips[last - first].map { finalCost + price * $0 }
        var unused = Array(repeating: 0.0, count: tails.count)
        for index in tailExits.indices { tailExits[index] = last }
        var base = price * Double(branch.excess - grid.largestExcess)
        base += totalCost(released: branch.released, costs: grid.costs)
        var magnitude = abs(base) + Double(tails.count) * (finalCost + price)
        for (exit, links) in zip(linked, links).reversed() {
            let flips = flips[exit - first]
            let ranks = ranks[exit - first]
            let cost = grid.costs[exit]
            var sums = Array(repeating: 0.0, count: grid.valueCounts[exit] + 1)
            for index in links.indices {
                let link = links[index]
                let leaving = cost + price * flips[index] + link + unused[index]
                if leaving < tails[index] {
                    tails[index] = leaving
                    tailExits[index] = exit
                }
                unused[index] += min(0, link)
                sums[ranks[index]] += link
                magnitude += abs(link)
            }
            base -= chooseMost(sums: sums, exit: exit)
        }
        for tail in tails { base += tail }
        let sweep = TripleSweep(
            waiting: waiting, ranks: (ranks[1], ranks[2]),
            valueCounts: (grid.valueCounts[first + 1], grid.valueCounts[first + 2]),
            gains: (0..<SearchGrid.sweptExits).map { place in
                let cost = grid.costs[first + place]
                let flips = flips[place]
                return tails.indices.map { cost + price * flips[$0] + unused[$0] - tails[$0] }
            })
        solution[0...2] = sweep.choices[...]
        // No partial sum is larger than a few magnitudes, and no term takes part in more than a few times `terms` additions.
        let terms = Double(tails.count + sweep.minima.count + linked.count + 8)
        let error = 32 * terms * magnitude.ulp
        return sweep.minima.map { base + $0 - error }
    }

    /// The choice at a linked exit that earns most.
    private mutating func chooseMost(sums: [Double], exit: Int) -> Double {
        var sum = 0.0
        var most = 0.0
        solution[exit - first] = 0
        for choice in 1..<sums.count {
            sum += sums[choice - 1]
            if sum > most {
                most = sum
                solution[exit - first] = choice
            }
        }
        return most
    }

    /// A step along the subgradient at the last solution.
    ///
    /// - Parameters:
    ///   - length: the rise that is hoped for; the step is this over the norm of the direction.
    ///   - memory: how much of the last direction is added to the subgradient.
    /// - Returns: whether there was anywhere to go.
    mutating func step(length: Double, memory: Double) -> Bool {
        var exits = tailExits
        var excess = Double(branch.excess - grid.largestExcess)
        for index in exits.indices {
            if let place = (0..<SearchGrid.sweptExits).first(where: { ranks[$0][index] < solution[$0] }) {
                exits[index] = first + place
            }
            excess += flips[exits[index] - first][index]
        }
        // The price meets all samples at once, a link only one: the scale makes their parts of the norm comparable.
        let scale = 1 / Double(max(1, exits.count))
        priceDirection = excess + memory * priceDirection
        var norm = priceDirection * priceDirection * scale
        for exit in linked {
            let row = exit - linked.lowerBound
            let ranks = ranks[exit - first]
            let choice = solution[exit - first]
            for index in exits.indices {
                // A sample that has left before says what it is paid for.
                let own = exits[index] == exit || exits[index] < exit && links[row][index] < 0
                let difference = (own ? 1.0 : 0) - (ranks[index] < choice ? 1 : 0)
                let direction = difference + memory * linkDirections[row][index]
                linkDirections[row][index] = direction
                norm += direction * direction
            }
        }
        guard norm > 0 else { return false }
        let step = length / norm
        price = max(0, price + step * priceDirection * scale)
        for row in links.indices {
            for index in exits.indices { links[row][index] += step * linkDirections[row][index] }
        }
        return true
    }
}
