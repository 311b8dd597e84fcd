/// The best policy a search has found so far.
struct Incumbent: Sendable {
    /// How good it is; inadmissible only while nothing admissible is known.
    private(set) var rank: PolicyRank
    /// Its choices on the grid; nil when it is no policy of the grid.
    private(set) var choices: [Int]?

    init(rank: PolicyRank, choices: [Int]?) {
        self.rank = rank
        self.choices = choices
    }

    /// The largest cost of interest: what costs more is no better.
    var costLimit: Double { rank.violation == 0 ? rank.costSum : .infinity }

    /// Takes an admissible policy that is better. Of equally good ones of the grid the first in lexicographic order stays,
    /// which is the one an exhaustive search from "never" down finds first.
    mutating func offer(_ choices: [Int], rank: PolicyRank) {
        guard rank.violation == 0 else { return }
        let isFirst = !(self.rank < rank) && (self.choices.map { choices.lexicographicallyPrecedes($0) } ?? false)
        if rank < self.rank || isFirst {
            self.rank = rank
            self.choices = choices
        }
    }
}
