/// Feature rows with what heads should say of them: one split of one exit, as the trainer sees it.
public struct LabelledRows: Sendable {
    /// The features.
    public let features: any FeatureRows
    /// [rows]: labels, or the numbers to regress on.
    public let targets: HeadTargets

    /// Pairs features with labels, in 0..<classes.
    public init(features: any FeatureRows, labels: [Int32]) {
        self.init(features: features, targets: HeadTargets(labels: labels))
    }

    /// Pairs features with labels or numbers.
    public init(features: any FeatureRows, targets: HeadTargets) {
        precondition(
            [targets.labels.count, targets.values.count].allSatisfy { $0 == 0 || $0 == features.rowCount },
            "a label or a number for each row")
        self.features = features
        self.targets = targets
    }

    /// [rows]
    public var labels: [Int32] { targets.labels }

    /// How many rows there are.
    public var rowCount: Int { features.rowCount }

    /// The same rows with a teacher.
    ///
    /// - Parameter logits: [rows, classes]: what the teacher says.
    public func taught(by logits: [Float]) -> LabelledRows {
        var targets = targets
        targets.teacherLogits = logits
        return LabelledRows(features: features, targets: targets)
    }

    /// Some rows, in the order given, copied into memory: a minibatch.
    ///
    /// - Complexity: O(rows * width).
    func selecting(_ rows: [Int], classes: Int) -> LabelledRows {
        let width = features.width
        let values = [Float](unsafeUninitializedCapacity: rows.count * width) { buffer, count in
            features.withRows(at: rows) { $0.copy(into: buffer.baseAddress!) }
            count = rows.count * width
        }
        return LabelledRows(
            features: DenseRows(values: values, width: width), targets: targets.selecting(rows, classes: classes))
    }
}
