/// What exits say that predict numbers instead of classes, beside the numbers that would have been right.
///
/// Two numbers that differ by at most the tolerance are the same: exits with them agree, and a prediction that is that
/// near to its target is right. Agreement is between neighbours; it need not carry on from exit to exit.
public struct PredictedNumbers: Equatable, Sendable {
    /// [exits][samples]
    public let values: [[Float]]
    /// [samples]
    public let targets: [Float]
    /// By how much numbers may differ that are the same, not negative.
    public let tolerance: Double

    /// Collects numbers; all rows of `values` are as long as `targets`.
    public init(values: [[Float]], targets: [Float], tolerance: Double) {
        precondition(!values.isEmpty && values.allSatisfy { $0.count == targets.count }, "a number for each sample")
        precondition(tolerance >= 0 && tolerance.isFinite, "a tolerance is not negative")
        self.values = values
        self.targets = targets
        self.tolerance = tolerance
    }

    /// Whether two numbers are the same; a number that is not finite is the same as none.
    public static func agree(_ left: Float, _ right: Float, tolerance: Double) -> Bool {
        abs(Double(left) - Double(right)) <= tolerance
    }

    /// A label for a number, so that rules that compare the labels of neighbouring exits see whether they agree: that of
    /// the exit before on agreement, the next one otherwise.
    ///
    /// - Parameters:
    ///   - value: the number.
    ///   - previous: the exit before with its label; nil at the first, whose label is 0.
    ///   - tolerance: by how much numbers may differ that are the same.
    public static func label(
        of value: Float, after previous: (value: Float, label: Int32)?, tolerance: Double
    ) -> Int32 {
        guard let previous else { return 0 }
        return agree(value, previous.value, tolerance: tolerance) ? previous.label : previous.label + 1
    }

    /// [exits][samples]: ``label(of:after:tolerance:)`` of every number.
    ///
    /// - Complexity: O(samples * exits).
    var labels: [[Int32]] {
        var labels: [[Int32]] = []
        for (exit, row) in values.enumerated() {
            labels.append(
                row.indices.map { sample in
                    Self.label(
                        of: row[sample], after: exit == 0 ? nil : (values[exit - 1][sample], labels[exit - 1][sample]),
                        tolerance: tolerance)
                })
        }
        return labels
    }

    /// [samples]: whether an exit's numbers are right.
    func isCorrect(exit: Int) -> [Bool] {
        zip(values[exit], targets).map { Self.agree($0, $1, tolerance: tolerance) }
    }

    /// The numbers of some exits, in the order given.
    func selecting(exits: [Int]) -> PredictedNumbers {
        PredictedNumbers(values: exits.map { values[$0] }, targets: targets, tolerance: tolerance)
    }

    /// The numbers of some samples, in the order given.
    func selecting(_ samples: [Int]) -> PredictedNumbers {
        PredictedNumbers(
            values: values.map { row in samples.map { row[$0] } }, targets: samples.map { targets[$0] },
            tolerance: tolerance)
    }
}
