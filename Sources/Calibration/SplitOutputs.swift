import ExitRules
import FeatureCache

/// What all exits say of all samples, split by split.
public struct SplitOutputs: Equatable, Sendable {
    /// The outputs of each split.
    public let bySplit: [Split: ExitOutputs]

    /// Creates outputs; all four splits are there.
    public init(_ bySplit: [Split: ExitOutputs]) {
        precondition(Split.allCases.allSatisfy { bySplit[$0] != nil }, "outputs of every split")
        self.bySplit = bySplit
    }

    /// The outputs of a split.
    public subscript(split: Split) -> ExitOutputs { bySplit[split]! }
}
