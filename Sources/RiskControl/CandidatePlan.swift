/// Which candidates the certify split will test, in which order, and where along it a part of the level starts: all that
/// must be fixed before the certify split is looked at.
public struct CandidatePlan: Equatable, Sendable {
    /// Candidates, none of them twice.
    public let candidates: [Int]
    /// Positions in `candidates`, rising; each starts with an equal part of the level.
    public let starts: [Int]

    /// Creates a plan.
    ///
    /// - Parameters:
    ///   - candidates: none of them twice, in the order of the tests.
    ///   - starts: one start, at the first candidate, makes the plan a fixed sequence.
    public init(candidates: [Int], starts: [Int] = [0]) {
        precondition(Set(candidates).count == candidates.count, "no candidate twice")
        precondition(zip(starts, starts.dropFirst()).allSatisfy(<), "starts rise")
        precondition(
            candidates.isEmpty || starts.allSatisfy(candidates.indices.contains), "a start is a position in the order")
        self.candidates = candidates
        self.starts = candidates.isEmpty ? [] : starts
    }

    /// The plan with the candidates named by other numbers.
    public func naming(_ name: (Int) -> Int) -> CandidatePlan {
        CandidatePlan(candidates: candidates.map(name), starts: starts.isEmpty ? [0] : starts)
    }
}
