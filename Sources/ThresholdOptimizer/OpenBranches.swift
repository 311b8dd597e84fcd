/// The branches that a best-first search has yet to enter: a binary heap, the lowest bound on top.
struct OpenBranches: Sendable {
    /// A branch by the branch it comes from and a choice.
    struct Branch: Sendable {
        /// A cost that no admissible policy of the branch falls below.
        let bound: Double
        /// The place of the branch before in `parents`; -1 for the root.
        fileprivate let parent: Int32
        fileprivate let choice: Int32
        fileprivate let depth: Int32
        fileprivate let number: Int

        /// Of equal bounds the deeper branch comes first, which sooner leads to a policy; then the older one.
        fileprivate static func < (left: Branch, right: Branch) -> Bool {
            if left.bound != right.bound { return left.bound < right.bound }
            return left.depth == right.depth ? left.number < right.number : left.depth > right.depth
        }
    }

    private var heap: [Branch]
    private var parents: [[Int]] = []
    private var pushed = 1

    /// Begins with the branch in which nothing is chosen.
    init(rootBound: Double) {
        heap = [Branch(bound: rootBound, parent: -1, choice: 0, depth: 0, number: 0)]
    }

    /// The branch of the lowest bound.
    var first: Branch? { heap.first }

    /// The choices that lead to a branch.
    func choices(of branch: Branch) -> [Int] {
        branch.parent < 0 ? [] : parents[Int(branch.parent)] + [Int(branch.choice)]
    }

    /// Adds the ways on from a branch that are not bounded above a limit.
    ///
    /// - Parameter bounds: [choices at the next exit].
    mutating func push(from choices: [Int], bounds: [Double], limit: Double) {
        parents.append(choices)
        let parent = Int32(parents.count - 1)
        let depth = Int32(choices.count + 1)
        for (choice, bound) in bounds.enumerated() where bound <= limit {
            heap.append(Branch(bound: bound, parent: parent, choice: Int32(choice), depth: depth, number: pushed))
            pushed += 1
            rise(from: heap.count - 1)
        }
    }

    /// Takes the branch of the lowest bound out.
    ///
    /// - Complexity: O(log branches).
    mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink()
    }

    private mutating func rise(from place: Int) {
        var place = place
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func sink() {
        var place = 0
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[place] else { return }
            heap.swapAt(child, place)
            place = child
        }
    }
}
