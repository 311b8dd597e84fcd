import Backprop

/// What `beem train` tells.
public struct TrainingSummary: Sendable {
    private let heads: [TrainedHead]
    private let names: [String]
    private let loss: TrainingLoss

    /// Collects what is told.
    public init(_ heads: [TrainedHead], names: [String], loss: TrainingLoss) {
        self.heads = heads
        self.names = names
        self.loss = loss
    }

    /// One line for each exit, and the joint objective where heads were trained by it.
    public var text: String {
        var table = TextTable([
            ("exit", .left), ("name", .left), ("L2", .right), ("objective", .right), ("tune loss", .right),
            ("tune error", .right), ("passes", .right),
        ])
        for (exit, head) in heads.enumerated() {
            table.add([
                "\(exit)", names[exit], Format.short(head.choice.l2), Format.decimal(head.choice.objective),
                Format.decimal(head.choice.tuneLoss), Format.percent(head.choice.tuneError),
                "\(head.choice.evaluations)",
            ])
        }
        guard let joint = heads.jointObjective(loss) else { return table.text }
        return table.text + "Joint objective, penalties included: \(Format.decimal(joint)) nats\n"
    }
}

/// What `beem train --json` prints.
public struct TrainingJSON: Encodable, Sendable {
    /// One exit's head.
    public struct Exit: Encodable, Sendable {
        /// 0-based.
        public var index: Int
        /// The L2 penalty that was kept.
        public var l2: Double
        /// The objective on the train split, penalty included: in nats, or the mean squared error.
        public var objective: Double
        /// The mean loss on the tune split: cross-entropy in nats, or the squared error.
        public var tuneLoss: Double
        /// The share of wrong labels on the tune split.
        public var tuneError: Double
        /// How often the train split was seen: evaluations, or epochs.
        public var evaluations: Int
        /// Whether training reached the optimum.
        public var converged: Bool
        /// Every penalty that was tried.
        public var candidates: [TrainedHead.Candidate]
    }

    /// The exits in order.
    public var exits: [Exit]
    /// The joint objective, penalties included, in nats; nil where heads were not trained by it.
    public var jointObjective: Double?

    /// Collects the numbers.
    public init(_ heads: [TrainedHead], loss: TrainingLoss) {
        jointObjective = heads.jointObjective(loss)
        exits = heads.enumerated().map { index, head in
            Exit(
                index: index, l2: head.choice.l2, objective: head.choice.objective,
                tuneLoss: head.choice.tuneLoss, tuneError: head.choice.tuneError,
                evaluations: head.choice.evaluations,
                converged: head.choice.converged,
                candidates: head.candidates)
        }
    }
}

extension [TrainedHead] {
    /// The exits' objectives, later ones weighing more; nil unless heads were trained by the joint objective.
    fileprivate func jointObjective(_ loss: TrainingLoss) -> Double? {
        guard loss.teacher?.isJoint == true else { return nil }
        return zip(JointExitLoss.exitWeights(count: count), self).reduce(0) { $0 + $1.0 * $1.1.choice.objective }
    }
}
