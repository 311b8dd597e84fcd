import Ranks

/// The last of three ranks, which hears nothing of the others: for what a rank finds in its own part.
public struct LastOfThree: Communicator {
    /// The last.
    public init() {}

    /// 2.
    public var rank: Int { 2 }
    /// 3.
    public var rankCount: Int { 3 }
    /// None.
    public var traffic: Traffic { Traffic() }
    /// Its own elements.
    public func gathered<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [Element] { own }
    /// Its own numbers.
    public func sums(_ own: [Int]) -> [Int] { own }
    /// Its own numbers.
    public func maxima(_ own: [UInt64]) -> [UInt64] { own }
}
