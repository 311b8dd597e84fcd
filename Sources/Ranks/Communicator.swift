/// The processes, called ranks, that run the same program on their own parts of the data, and how they talk.
///
/// Every method is a collective: all ranks call it, in the same order, and all of them get the same result. So what a
/// rank decides by results alone, all ranks decide. One call at a time, from any thread. Never call one while iterating over
/// a dictionary or a set: their order differs from process to process.
///
/// Programs that are written for a communicator run in one process too: with ``OneProcess`` nothing is sent.
public protocol Communicator: Sendable {
    /// Which rank this is, from 0.
    var rank: Int { get }
    /// How many ranks there are; at least one.
    var rankCount: Int { get }
    /// What this rank has given to others and got from them so far.
    var traffic: Traffic { get }

    /// Every rank's elements, one rank's after another's; their numbers may differ.
    func gathered<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [Element]

    /// [count]: the sums over the ranks of what each has; the numbers are as many on every rank, and do not overflow.
    func sums(_ own: [Int]) -> [Int]

    /// [count]: the largest over the ranks of what each has; as many on every rank.
    func maxima(_ own: [UInt64]) -> [UInt64]
}

extension Communicator {
    /// Whether this rank is the one that talks to people and writes files.
    public var isFirst: Bool { rank == 0 }

    /// Whether there is nobody to talk to.
    public var isAlone: Bool { rankCount == 1 }

    /// Whether any rank says so.
    public func any(_ own: Bool) -> Bool { isAlone ? own : sums([own ? 1 : 0])[0] > 0 }

    /// [ranks]: every rank's elements.
    public func gatheredParts<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [[Element]] {
        if isAlone { return [own] }
        var rest = gathered(own)[...]
        return gathered([own.count]).map { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }

    /// This rank's part of `count` things in a row: parts differ by at most one, and follow one another in the order of
    /// the ranks.
    public func part(of count: Int) -> Range<Int> { part(of: count, ofRank: rank) }

    /// The part of a rank.
    public func part(of count: Int, ofRank rank: Int) -> Range<Int> {
        (count * rank / rankCount)..<(count * (rank + 1) / rankCount)
    }
}

/// What a rank has exchanged with the others.
public struct Traffic: Equatable, Sendable {
    /// How many collectives there were.
    public var calls = 0
    /// The bytes that were handed in, and those that came from other ranks: what has to pass, whatever way the library
    /// sends it.
    public var bytes = 0

    /// Nothing yet.
    public init() {}
}

/// The only rank.
public struct OneProcess: Communicator {
    /// Alone.
    public init() {}

    /// 0.
    public var rank: Int { 0 }
    /// 1.
    public var rankCount: Int { 1 }
    /// None.
    public var traffic: Traffic { Traffic() }
    /// The elements.
    public func gathered<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [Element] { own }
    /// The numbers.
    public func sums(_ own: [Int]) -> [Int] { own }
    /// The numbers.
    public func maxima(_ own: [UInt64]) -> [UInt64] { own }
}
