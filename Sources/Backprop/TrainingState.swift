/// Where the training of all exits stands: all that a checkpoint needs.
public struct TrainingState: Codable, Equatable, Sendable {
    /// Where the training of one exit stands.
    enum Exit: Codable, Equatable, Sendable {
        case waiting
        case fullBatch(FullBatchTraining.State)
        case minibatch(MinibatchTraining.State)
        case finished(Finished)

        var isFinished: Bool {
            if case .finished = self { true } else { false }
        }
    }

    /// A trained head.
    struct Finished: Codable, Equatable, Sendable {
        /// [penalties]
        var solutions: [SolvedPenalty]
        var curve: [LearningCurvePoint]

        /// The head of the penalty with the lowest loss on tune; of equal ones the first.
        var trained: TrainedHead {
            let candidates = solutions.map(\.candidate)
            var chosen = 0
            for index in candidates.indices
            where candidates[index].tuneLoss < candidates[chosen].tuneLoss || !candidates[chosen].tuneLoss.isFinite {
                chosen = index
            }
            return TrainedHead(
                head: solutions[chosen].head.head, candidates: candidates, chosen: chosen, curve: curve)
        }
    }

    /// [exits]
    var exits: [Exit]

    /// Nothing is trained yet.
    init(exitCount: Int) { exits = Array(repeating: .waiting, count: exitCount) }

    /// How many exits there are.
    public var exitCount: Int { exits.count }

    /// How many heads are done.
    public var finishedCount: Int { exits.count(where: \.isFinished) }
}
