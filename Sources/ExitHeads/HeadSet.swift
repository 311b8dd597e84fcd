/// The heads of all exits, as one file holds them.
public struct HeadSet: Equatable, Sendable {
    /// [exits]
    public var heads: [ExitHead]
    /// The file they were read from, for messages.
    public var file: String

    /// Creates a set; `file` is its name in messages.
    public init(heads: [ExitHead], file: String = "heads") {
        precondition(!heads.isEmpty, "one or more heads")
        self.heads = heads
        self.file = file
    }

    /// The heads of some exits, in the order given.
    public func selecting(exits: [Int]) -> HeadSet { HeadSet(heads: exits.map { heads[$0] }, file: file) }
}
