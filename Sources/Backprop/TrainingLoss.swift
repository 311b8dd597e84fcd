/// What training minimises, before data are known.
public struct TrainingLoss: Equatable, Sendable {
    /// What heads learn from.
    public enum Kind: Equatable, Sendable {
        /// Labels, by cross-entropy.
        case crossEntropy
        /// Numbers, by squared error.
        case squaredError
    }

    /// How much the rows of each class count.
    public enum ClassWeights: Equatable, Sendable {
        /// All rows alike.
        case none
        /// All classes alike: `rows / (classes * rows of the class)`, on the train split.
        case balanced
        /// [classes]
        case given([Double])
    }

    /// What earlier exits learn from the final one.
    public struct Teacher: Equatable, Sendable {
        /// Whether labels teach too: the joint objective of the paper, cross-entropy plus divergence. Otherwise the final
        /// exit is all that earlier ones learn from.
        public var isJoint: Bool
        /// What the logits of both sides are divided by.
        public var temperature: Double
        /// Whether the final head learns at the same time, batch by batch, rather than first. It learns from labels alone
        /// either way: no gradient reaches it through the others.
        public var isTrainedTogether: Bool

        /// Creates a teacher.
        public init(isJoint: Bool, temperature: Double = 1, isTrainedTogether: Bool = false) {
            precondition(temperature > 0 && temperature.isFinite, "a temperature is above 0")
            self.isJoint = isJoint
            self.temperature = temperature
            self.isTrainedTogether = isTrainedTogether
        }
    }

    /// What heads learn from.
    public var kind: Kind
    /// How much the rows of each class count.
    public var classWeights: ClassWeights
    /// The share of every label that is spread over all classes.
    public var smoothing: Double
    /// What earlier exits learn from the final one; nil for nothing.
    public var teacher: Teacher?

    /// Creates a loss.
    public init(
        kind: Kind = .crossEntropy, classWeights: ClassWeights = .none, smoothing: Double = 0, teacher: Teacher? = nil
    ) {
        precondition(
            kind == .crossEntropy || (classWeights == .none && smoothing == 0 && teacher == nil),
            "classes, labels to smooth and a teacher go with cross-entropy")
        self.kind = kind
        self.classWeights = classWeights
        self.smoothing = smoothing
        self.teacher = teacher
    }

    /// The loss of an exit.
    ///
    /// - Parameters:
    ///   - labels: of the train split, which balanced weights are counted on.
    ///   - isFinal: whether it is the final exit, which has no teacher.
    func headLoss(labels: [Int32], classCount: Int, isFinal: Bool) -> any HeadLoss {
        guard kind == .crossEntropy else { return SquaredErrorLoss() }
        let own = CrossEntropyLoss(
            classWeights: weights(labels: labels, classCount: classCount), smoothing: smoothing)
        guard let teacher, !isFinal else { return own }
        let distillation = DistillationLoss(temperature: teacher.temperature)
        return teacher.isJoint ? JointExitLoss(crossEntropy: own, distillation: distillation) : distillation
    }

    private func weights(labels: [Int32], classCount: Int) -> [Float] {
        switch classWeights {
        case .none: return []
        case .given(let weights): return weights.map { Float($0) }
        case .balanced:
            var counts = [Int](repeating: 0, count: classCount)
            for label in labels { counts[Int(label)] += 1 }
            // A class without rows weighs nothing whatever its weight is.
            return counts.map { Float(Double(labels.count) / (Double(classCount) * Double(max($0, 1)))) }
        }
    }
}
