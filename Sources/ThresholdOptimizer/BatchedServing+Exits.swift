extension BatchedServing {
    /// The same network where only some exits are offered: stages run on, without the checks of the others.
    ///
    /// - Parameters:
    ///   - exits: rising, the last one among them.
    ///   - checks: [exits], what each check takes of its stage in milliseconds, less than all of it at every size; nil where
    ///     that is not known, and then stages keep the checks of exits that are not offered.
    /// - Complexity: O(exits * points of a curve, squared).
    public func selecting(exits: [Int], checks: [BatchCostCurve]?) -> BatchedServing {
        precondition(exits.last == stages.count - 1, "the last exit always answers")
        precondition(checks.map { $0.count == stages.count } ?? true, "a check for each exit")
        func run(_ range: Range<Int>) -> BatchCostCurve {
            range.dropFirst().reduce(part(range.lowerBound, isLast: range.count == 1)) { sum, exit in
                sum.adding(part(exit, isLast: exit == range.upperBound - 1))!
            }
        }
        func part(_ exit: Int, isLast: Bool) -> BatchCostCurve {
            guard !isLast, let checks else { return stages[exit] }
            return stages[exit].adding(checks[exit], sign: -1)!
        }
        var start = 0
        let merged = exits.map { exit in
            defer { start = exit + 1 }
            return run(start..<(exit + 1))
        }
        return BatchedServing(
            stages: merged, batchSize: batchSize, whole: checks == nil ? whole : run(0..<stages.count))
    }
}
