/// Sums over the samples that the first cuts of an exit release, in a form that can lose samples one by one: the excess
/// they add and the cost they save.
///
/// Only cuts just before a rank at which excess changes are of interest: between two of those the last one saves most.
/// The marked ranks divide the others into **steps**: step k holds the ranks from the k-th marked one up to the next. The
/// excess is a tree of sums and least prefix sums over steps, which finds the last prefix below a limit; the cost is a
/// Fenwick tree.
///
/// Use: `reset`, `mark`, `divide`, `add`, `build`; then `remove` and questions.
///
/// - Reference: Fenwick (1994), "A new data structure for cumulative frequency tables".
struct PrefixSums: Sendable {
    private var rankCount = 0
    /// A bit for each rank: whether it is marked.
    private var marks: [UInt64] = []
    /// [words of marks]: how many marks there are in the words before.
    private var marksBefore: [Int32] = []
    /// [steps - 1]: the marked ranks, rising. Step 0 lies before them.
    private var ranks: [Int32] = []
    /// Leaves from here on, one for each marked rank; a power of two.
    private var leaves = 1
    /// [2 * leaves]: the excess of the steps below a node.
    private var sums: [Int32] = []
    /// [2 * leaves]: the least sum of the first steps below a node, none included.
    private var least: [Int32] = []
    /// [steps + 1]: Fenwick's partial sums.
    private var savings: [Double] = []

    /// The cost that all samples save.
    private(set) var totalSavings = 0.0

    /// Forgets all samples.
    ///
    /// - Complexity: O(ranks / 64).
    mutating func reset(rankCount: Int) {
        self.rankCount = rankCount
        totalSavings = 0
        marks.fill(0, count: rankCount / 64 + 1)
    }

    /// Announces a sample that adds an excess.
    mutating func mark(rank: Int) { marks[rank / 64] |= 1 << UInt64(rank % 64) }

    /// Divides the ranks at the marked ones.
    ///
    /// - Complexity: O(ranks / 64 + marks).
    mutating func divide() {
        marksBefore.removeAll(keepingCapacity: true)
        ranks.removeAll(keepingCapacity: true)
        for (word, bits) in marks.enumerated() {
            marksBefore.append(Int32(ranks.count))
            var bits = bits
            while bits != 0 {
                ranks.append(Int32(64 * word + bits.trailingZeroBitCount))
                bits &= bits - 1
            }
        }
        leaves = 1
        while leaves < ranks.count { leaves *= 2 }
        sums.fill(0, count: 2 * leaves)
        least.fill(0, count: 2 * leaves)
        savings.fill(0, count: ranks.count + 2)
    }

    /// How many marked ranks are at most this one.
    func step(rank: Int) -> Int {
        let upTo = marks[rank / 64] & (~0 >> UInt64(63 - rank % 64))
        return Int(marksBefore[rank / 64]) + upTo.nonzeroBitCount
    }

    /// Adds a sample; `build` must follow.
    mutating func add(step: Int, excess: Int32, saving: Double) {
        savings[step + 1] += saving
        totalSavings += saving
        // Step 0 has no excess, so it needs no leaf.
        if excess != 0 { sums[leaves + step - 1] += excess }
    }

    /// Makes the sums of what was added.
    ///
    /// - Complexity: O(marks).
    mutating func build() {
        for leaf in leaves..<(2 * leaves) { least[leaf] = min(0, sums[leaf]) }
        for node in (1..<leaves).reversed() { update(node) }
        for place in 1..<savings.count {
            let next = place + (place & -place)
            if next < savings.count { savings[next] += savings[place] }
        }
    }

    /// Takes a sample away.
    ///
    /// - Complexity: O(log marks).
    mutating func remove(step: Int, excess: Int32, saving: Double) {
        totalSavings -= saving
        var place = step + 1
        while place < savings.count {
            savings[place] -= saving
            place += place & -place
        }
        guard excess != 0 else { return }
        var node = leaves + step - 1
        sums[node] -= excess
        least[node] = min(0, sums[node])
        node /= 2
        while node > 0 {
            update(node)
            node /= 2
        }
    }

    private mutating func update(_ node: Int) {
        let left = sums[2 * node]
        sums[node] = left + sums[2 * node + 1]
        least[node] = min(least[2 * node], left + least[2 * node + 1])
    }

    /// The least excess that any number of first ranks adds; at most 0.
    var leastExcess: Int { Int(least[1]) }

    /// The last step at whose end the excess is at most `limit`, and that excess.
    ///
    /// - Precondition: `limit >= leastExcess`.
    /// - Complexity: O(log marks).
    func last(excessAtMost limit: Int) -> (step: Int, excess: Int) {
        var node = 1
        var excess = 0
        while node < leaves {
            let right = excess + Int(sums[2 * node])
            if right + Int(least[2 * node + 1]) <= limit {
                excess = right
                node = 2 * node + 1
            } else {
                node = 2 * node
            }
        }
        let all = excess + Int(sums[node])
        // Leaves beyond the last step add nothing.
        return all <= limit ? (min(node - leaves + 1, ranks.count), all) : (node - leaves, excess)
    }

    /// The largest cut that releases nobody after a step.
    func cut(step: Int) -> Int { step < ranks.count ? Int(ranks[step]) : rankCount }

    /// The cost that is saved up to the end of a step.
    ///
    /// - Complexity: O(log marks).
    func savings(step: Int) -> Double {
        var sum = 0.0
        var place = step + 1
        while place > 0 {
            sum += savings[place]
            place &= place - 1
        }
        return sum
    }
}

extension Array {
    /// Becomes `count` equal elements, in the memory there is.
    fileprivate mutating func fill(_ value: Element, count: Int) {
        removeAll(keepingCapacity: true)
        append(contentsOf: repeatElement(value, count: count))
    }
}
