/// What every exit says of every sample of a split, beside the truth.
public struct ExitOutputs: Equatable, Sendable {
    /// [samples]: the true labels; 0 where numbers are predicted.
    public var truth: [Int32]
    /// [exits][samples]: the label each exit gives.
    public var labels: [[Int32]]
    /// [exits][samples]: the confidence each exit has; nil where labels are all that is known.
    public var confidences: [[Float]]?
    /// [samples]: samples with the same number may depend on each other; nil when all are independent.
    public var groups: [Int32]?
    /// [samples]: the part of the population each sample is from; nil when no parts are told apart.
    public var subgroups: [Int32]?
    /// What exits say that predict numbers; labels then tell which neighbours agree, and nothing else. nil where they
    /// tell classes apart.
    public private(set) var numbers: PredictedNumbers?

    /// Creates exit outputs; all rows of `labels` and `confidences` are as long as `truth`.
    public init(
        truth: [Int32], labels: [[Int32]], confidences: [[Float]]?, groups: [Int32]? = nil, subgroups: [Int32]? = nil
    ) {
        precondition(
            !labels.isEmpty && labels.count == confidences?.count ?? labels.count,
            "labels and confidences of the same exits")
        precondition(labels.allSatisfy { $0.count == truth.count }, "a label for each sample")
        precondition(confidences?.allSatisfy { $0.count == truth.count } ?? true, "a confidence for each sample")
        precondition(
            [groups, subgroups].allSatisfy { $0.map { $0.count == truth.count } ?? true }, "one for each sample")
        self.truth = truth
        self.labels = labels
        self.confidences = confidences
        self.groups = groups
        self.subgroups = subgroups
    }

    /// Creates the outputs of exits that predict numbers.
    public init(numbers: PredictedNumbers, groups: [Int32]? = nil, subgroups: [Int32]? = nil) {
        self.init(
            truth: numbers.targets.map { _ in 0 }, labels: numbers.labels, confidences: nil, groups: groups,
            subgroups: subgroups)
        self.numbers = numbers
    }

    /// Whether some samples may depend on each other.
    public var hasDependentSamples: Bool { groups.map { Set($0).count < $0.count } ?? false }

    /// How many exits there are.
    public var exitCount: Int { labels.count }

    /// How many samples there are.
    public var sampleCount: Int { truth.count }

    /// What an exit says of a sample; the confidence is 0 where none is known.
    public func prediction(exit: Int, sample: Int) -> Prediction {
        Prediction(label: labels[exit][sample], confidence: confidences?[exit][sample] ?? 0)
    }

    /// [exits]: how many samples each exit gets wrong.
    public var errorCounts: [Int] {
        labels.indices.map { exit in isCorrect(exit: exit).count { !$0 } }
    }

    /// [samples]: whether an exit gets them right.
    ///
    /// - Complexity: O(samples).
    public func isCorrect(exit: Int) -> [Bool] {
        numbers?.isCorrect(exit: exit) ?? zip(labels[exit], truth).map { $0 == $1 }
    }

    /// [samples]: whether two exits say the same.
    ///
    /// - Complexity: O(samples).
    public func isSame(exit: Int, as other: Int) -> [Bool] {
        guard let numbers else { return zip(labels[exit], labels[other]).map { $0 == $1 } }
        return zip(numbers.values[exit], numbers.values[other]).map {
            PredictedNumbers.agree($0, $1, tolerance: numbers.tolerance)
        }
    }

    /// The outputs of a network that has only some of the exits, in the order given.
    ///
    /// - Complexity: O(samples * exits) for numbers, whose neighbours are compared again; O(exits) otherwise.
    public func selecting(exits: [Int]) -> ExitOutputs {
        if let numbers {
            return ExitOutputs(numbers: numbers.selecting(exits: exits), groups: groups, subgroups: subgroups)
        }
        return ExitOutputs(
            truth: truth, labels: exits.map { labels[$0] },
            confidences: confidences.map { rows in exits.map { rows[$0] } },
            groups: groups, subgroups: subgroups)
    }

    /// The outputs of some samples, in the order given.
    public func selecting(_ samples: [Int]) -> ExitOutputs {
        var selection = ExitOutputs(
            truth: samples.map { truth[$0] },
            labels: labels.map { row in samples.map { row[$0] } },
            confidences: confidences?.map { row in samples.map { row[$0] } },
            groups: groups.map { row in samples.map { row[$0] } },
            subgroups: subgroups.map { row in samples.map { row[$0] } })
        selection.numbers = numbers?.selecting(samples)
        return selection
    }
}
