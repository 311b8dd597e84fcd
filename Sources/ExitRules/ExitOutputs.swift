/// What every exit says of every sample of a split, beside the truth.
public struct ExitOutputs: Equatable, Sendable {
    /// [samples]: the true labels.
    public var truth: [Int32]
    /// [exits][samples]: the label each exit gives.
    public var labels: [[Int32]]
    /// [exits][samples]: the confidence each exit has.
    public var confidences: [[Float]]

    /// Creates exit outputs; all rows of `labels` and `confidences` are as long as `truth`.
    public init(truth: [Int32], labels: [[Int32]], confidences: [[Float]]) {
        precondition(!labels.isEmpty && labels.count == confidences.count, "labels and confidences of the same exits")
        precondition(labels.allSatisfy { $0.count == truth.count }, "a label for each sample")
        precondition(confidences.allSatisfy { $0.count == truth.count }, "a confidence for each sample")
        self.truth = truth
        self.labels = labels
        self.confidences = confidences
    }

    /// How many exits there are.
    public var exitCount: Int { labels.count }

    /// How many samples there are.
    public var sampleCount: Int { truth.count }

    /// What an exit says of a sample.
    public func prediction(exit: Int, sample: Int) -> Prediction {
        Prediction(label: labels[exit][sample], confidence: confidences[exit][sample])
    }

    /// [exits]: how many samples each exit gets wrong.
    public var errorCounts: [Int] {
        labels.map { row in zip(row, truth).count { $0 != $1 } }
    }

    /// The outputs of some samples, in the order given.
    public func selecting(_ samples: [Int]) -> ExitOutputs {
        ExitOutputs(
            truth: samples.map { truth[$0] },
            labels: labels.map { row in samples.map { row[$0] } },
            confidences: confidences.map { row in samples.map { row[$0] } })
    }
}
