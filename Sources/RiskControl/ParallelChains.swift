/// Tests several chains of hypotheses side by side, one for each part of the population: every chain goes down the same
/// order at its part of the level, and a chain that reaches the end hands its part on to the others.
///
/// The probability that any true null of any chain is rejected is at most the level, for any dependence. Only the end
/// of the order hands a part on; a place that depends on the data, such as the policy that was chosen, would not do.
///
/// - Reference: a graphical procedure of Bretz, Maurer, Brannath and Posch (2009), "A graphical approach to sequentially
///   rejective multiple test procedures".
public struct ParallelChains: Equatable, Sendable {
    /// The probability with which a true null may be rejected, in (0, 1).
    public let level: Double

    /// Creates a procedure.
    public init(level: Double) {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        self.level = level
    }

    /// How far a chain came.
    public struct Reach: Equatable, Sendable {
        /// How many hypotheses of the chain were rejected, from the start of the order.
        public internal(set) var count = 0
        /// The level the chain had at the end.
        public internal(set) var level: Double
    }

    /// Walks all chains as far as they get.
    ///
    /// - Parameters:
    ///   - chains: how many chains.
    ///   - length: how many hypotheses each has.
    ///   - isRejected: whether the hypothesis at a position of a chain is rejected at a level.
    /// - Returns: [chains]
    /// - Complexity: O(chains (length + chains)) tests at most.
    public func walk(
        chains: Int, length: Int, isRejected: (_ chain: Int, _ position: Int, _ level: Double) throws -> Bool
    ) rethrows -> [Reach] {
        var reaches = Array(repeating: Reach(level: level / Double(max(chains, 1))), count: chains)
        var running = Set(reaches.indices)
        while true {
            var finished: [Int] = []
            for chain in running.sorted() {
                while reaches[chain].count < length,
                    try isRejected(chain, reaches[chain].count, reaches[chain].level)
                {
                    reaches[chain].count += 1
                }
                if reaches[chain].count == length { finished.append(chain) }
            }
            running.subtract(finished)
            guard !finished.isEmpty, !running.isEmpty else { return reaches }
            let handedOn = finished.reduce(0) { $0 + reaches[$1].level } / Double(running.count)
            // Rounding must not lift the last chain above the level.
            for chain in running { reaches[chain].level = min(level, reaches[chain].level + handedOn) }
        }
    }
}
