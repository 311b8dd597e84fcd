import Safetensors

/// What is known of samples beside what the exits see or say of them: feature caches and exit outputs share it.
///
/// A value of this type has been checked: all arrays are as long as `labels`, codes are in range.
public struct LabelledSamples: Equatable, Sendable {
    /// The file, or the index of its shards, as the user named it.
    public var path: String
    /// [samples]: in 0..<classes.count; the truth.
    public var labels: [Int32]
    /// The names of the classes.
    public var classes: [String]
    /// [exits]: the names of the exits.
    public var exitNames: [String]
    /// [samples]: a ``Split``'s raw value, or ``Split/unassignedCode``; nil when no split is stored.
    public var storedSplit: [UInt8]?
    /// [samples]: samples with the same number belong together (sentences of a document); nil when there are no groups.
    public var groups: [Int32]?
    /// [samples]: the part of the population each sample is from (users of a language, say), in 0..<subgroupNames.count;
    /// nil when none are told apart.
    public var subgroups: [Int32]?
    /// The names of those parts; empty when there are none.
    public var subgroupNames: [String]
    /// [samples]: finite numbers to predict instead of classes; labels are then all 0, of the only class. nil for classes.
    public var targets: [Float]?
    /// Whether heads are to be trained: they need a train split, and every class in every split.
    public var trainsHeads: Bool

    /// Creates samples; all arrays are as long as `labels`.
    public init(
        path: String, labels: [Int32], classes: [String], exitNames: [String], storedSplit: [UInt8]? = nil,
        groups: [Int32]? = nil, subgroups: [Int32]? = nil, subgroupNames: [String] = [], targets: [Float]? = nil,
        trainsHeads: Bool = true
    ) {
        precondition(storedSplit.map { $0.count == labels.count } ?? true, "a split code for each sample")
        precondition(targets.map { $0.count == labels.count } ?? true, "a number for each sample")
        precondition(
            [groups, subgroups].allSatisfy { $0.map { $0.count == labels.count } ?? true }, "one for each sample")
        self.path = path
        self.labels = labels
        self.classes = classes
        self.exitNames = exitNames
        self.storedSplit = storedSplit
        self.groups = groups
        self.subgroups = subgroups
        self.subgroupNames = subgroupNames
        self.targets = targets
        self.trainsHeads = trainsHeads
    }

    /// What stands for the classes where numbers are predicted.
    public static let numberClass = "number"

    /// How many samples there are.
    public var sampleCount: Int { labels.count }

    /// How many exits there are.
    public var exitCount: Int { exitNames.count }

    /// The same samples of a network that has only some of the exits, in the order given.
    public func selecting(exits: [Int]) -> LabelledSamples {
        var selection = self
        selection.exitNames = exits.map { exitNames[$0] }
        return selection
    }

    /// What the samples are divided by.
    public var splitSubject: SplitSubject {
        SplitSubject(
            file: path, labels: labels, classes: classes, groups: groups, stored: storedSplit,
            trainsHeads: trainsHeads)
    }
}

extension LabelledSamples {
    /// The largest number of samples of one group among some rows; nil when there are no groups.
    ///
    /// - Complexity: O(rows).
    public func largestGroup(in rows: [Int]) -> (group: Int32, size: Int)? {
        guard let groups else { return nil }
        let sizes = rows.reduce(into: [Int32: Int]()) { $0[groups[$1], default: 0] += 1 }
        return sizes.max { ($0.value, $1.key) < ($1.value, $0.key) }.map { (group: $0.key, size: $0.value) }
    }

    /// Refuses rows with a larger group than was declared before they were looked at.
    ///
    /// - Throws: `InputError` that names the group and its size.
    public func requireGroups(
        of rows: [Int], atMost maximum: Int, declaredBy source: String
    ) throws(InputError) {
        guard let largest = largestGroup(in: rows), largest.size > maximum else { return }
        throw InputError(
            .outOfRange, file: path, item: "group \(largest.group)", seen: "\(largest.size) samples",
            expected: "at most \(maximum), \(source)",
            advice: "Say with guarantee.maxGroupSize or --max-group-size how large a group can be, before certifying.")
    }
}
