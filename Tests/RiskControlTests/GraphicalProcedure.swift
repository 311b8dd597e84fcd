/// The graphical procedure for any graph, step by step as it was published: what the procedures of this module, which
/// know their graphs and never build one, are held against.
///
/// - Reference: Bretz, Maurer, Brannath and Posch (2009), "A graphical approach to sequentially rejective multiple test
///   procedures", algorithm 1.
struct GraphicalProcedure {
    /// [hypotheses]: the level each starts with.
    var levels: [Double]
    /// [hypotheses][hypotheses]: the share of its level that a rejected hypothesis hands to another.
    var edges: [[Double]]

    /// The hypotheses that are rejected. It does not matter in which order rejections are found; here the last one is
    /// taken first, unlike a walk.
    func rejected(pValues: [Double]) -> Set<Int> {
        var (levels, edges) = (levels, edges)
        var open = Array(pValues.indices)
        while let found = open.last(where: { pValues[$0] <= levels[$0] }) {
            open.removeAll { $0 == found }
            let before = edges
            for own in open {
                levels[own] += levels[found] * before[found][own]
                for other in open {
                    let loop = before[own][found] * before[found][own]
                    edges[own][other] =
                        own == other || loop >= 1
                        ? 0 : (before[own][other] + before[own][found] * before[found][other]) / (1 - loop)
                }
            }
        }
        return Set(pValues.indices).subtracting(open)
    }

    /// A line: every hypothesis hands all it has to the next; the level is divided equally over some of them.
    static func line(count: Int, starts: [Int], level: Double) -> GraphicalProcedure {
        var procedure = empty(count: count)
        for start in starts { procedure.levels[start] = level / Double(starts.count) }
        for own in 0..<max(0, count - 1) { procedure.edges[own][own + 1] = 1 }
        return procedure
    }

    /// Chains side by side, hypothesis j of chain k having the number `k length + j`: the level is divided equally over
    /// the first ones, and the last of a chain hands equal shares to the first ones of the other chains.
    static func chains(_ chains: Int, length: Int, level: Double) -> GraphicalProcedure {
        var procedure = empty(count: chains * length)
        for chain in 0..<chains {
            let first = chain * length
            procedure.levels[first] = level / Double(chains)
            for own in first..<(first + length - 1) { procedure.edges[own][own + 1] = 1 }
            for other in 0..<chains where other != chain {
                procedure.edges[first + length - 1][other * length] = 1 / Double(chains - 1)
            }
        }
        return procedure
    }

    private static func empty(count: Int) -> GraphicalProcedure {
        GraphicalProcedure(
            levels: Array(repeating: 0, count: count),
            edges: Array(repeating: Array(repeating: 0, count: count), count: count))
    }
}
