/// Softmax cross-entropy, in nats, optionally with class weights and label smoothing: what `torch.nn.CrossEntropyLoss`
/// computes.
///
/// With label y, class weights v and smoothing s, a row's loss is `-sum_k t_k ln p_k` with
/// `t_k = (1 - s) v_y [k = y] + s v_k / C`, its gradient `(sum_k t_k) p - t`, and it counts with weight `v_y`: the
/// smoothed part takes the weight of each class, the mean divides by the weights of the labels. (Smoothing: Szegedy et
/// al., 2016, section 7, with a uniform prior.)
///
/// Without weights and smoothing it is what `SoftmaxCrossEntropy` computes in Float32.
///
/// - Reference: `naiveWeightedCrossEntropy`.
public struct CrossEntropyLoss: HeadLoss, Equatable {
    /// [classes], not negative; empty for 1 each.
    public let classWeights: [Float]
    /// The share of every label that is spread over all classes, in 0..<1.
    public let smoothing: Double

    /// Creates the loss.
    public init(classWeights: [Float] = [], smoothing: Double = 0) {
        precondition(classWeights.allSatisfy { $0 >= 0 && $0.isFinite }, "class weights are not negative")
        precondition((0..<1).contains(smoothing), "smoothing is a share")
        self.classWeights = classWeights
        self.smoothing = smoothing
    }

    /// The weight with which a row of that class counts.
    public func weight(ofClass label: Int) -> Double { classWeights.isEmpty ? 1 : Double(classWeights[label]) }

    /// Whether nothing is weighted or smoothed, so that `SoftmaxCrossEntropy` computes the same in Float32.
    var isPlain: Bool { classWeights.isEmpty && smoothing == 0 }

    /// A softmax does not see a common shift; see ``HeadLoss``.
    public var ignoresCommonShift: Bool { true }

    /// The curvature of one row; see ``HeadLoss``.
    public func curvature(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, classes: Int
    ) -> LossSum {
        let own = scale * weight(ofClass: Int(targets.labels[row]))
        var mass = own
        if smoothing > 0, !classWeights.isEmpty {
            let mean = classWeights.reduce(0) { $0 + Double($1) } / Double(classes)
            mass = (1 - smoothing) * own + smoothing * scale * mean
        }
        return LossSum(loss: mass * softmaxCurvature(logits, classes: classes), weight: own)
    }

    /// The loss of one row; see ``HeadLoss``.
    public func addRow(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, scratch: LossScratch
    ) -> LossSum {
        let classes = scratch.classes
        let label = Int(targets.labels[row])
        precondition((0..<classes).contains(label), "labels are in 0..<\(classes)")
        precondition(classWeights.isEmpty || classWeights.count == classes, "a weight for each of \(classes) classes")
        let (top, logSum) = scratch.softmax(logits, into: scratch.first)
        let own = scale * (1 - smoothing) * weight(ofClass: label)
        var loss = own * (logSum - (Double(logits[label]) - top))
        var mass = own
        scratch.gradient[label] -= own
        if smoothing > 0 {
            for index in 0..<classes {
                let share = scale * smoothing / Double(classes) * weight(ofClass: index)
                loss += share * (logSum - (Double(logits[index]) - top))
                mass += share
                scratch.gradient[index] -= share
            }
        }
        for index in 0..<classes { scratch.gradient[index] += mass * scratch.first[index] }
        return LossSum(loss: loss, weight: scale * weight(ofClass: label))
    }
}
