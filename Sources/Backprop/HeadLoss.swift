import Foundation

/// A loss of one head as a function of its logits, with its gradient.
///
/// Losses and gradients are **sums over rows, not means**: to train on the mean, the caller adds up the ``LossSum`` of
/// all blocks and divides loss and gradient by its `weight`. So blocks, chunks and threads can be cut anywhere.
///
/// A conforming type writes one row; blocks of rows are written once, in ``evaluate(logits:targets:rows:classes:stride:gradient:)``.
/// Arithmetic within a row is in Double from Float32 logits; the gradient is rounded to Float32 once. Logits that are not
/// finite give a loss that is not a number, never a trap.
public protocol HeadLoss: Sendable {
    /// The loss of one row, times `scale`.
    ///
    /// - Parameters:
    ///   - logits: [classes]
    ///   - row: which row of the targets it is.
    ///   - scale: what loss, weight and gradient are multiplied by: the row's weight.
    ///   - scratch: `scratch.gradient` [classes], to which the gradient with respect to the logits is added.
    /// - Returns: the loss, and the weight with which the row counts in a mean.
    /// - Complexity: O(classes).
    func addRow(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, scratch: LossScratch
    ) -> LossSum

    /// Whether the loss stays the same when all logits of a row grow by the same number, as those of a softmax do.
    var ignoresCommonShift: Bool { get }

    /// The mean curvature of one row's loss over the directions of its logits that matter, times `scale`: what a
    /// preconditioner weighs the row by. It may be off; it may not be negative.
    ///
    /// - Parameters:
    ///   - logits: [classes]
    ///   - row: which row of the targets it is.
    ///   - scale: the row's weight.
    /// - Returns: the curvature, in the loss's unit per squared logit, and the weight with which the row counts in a mean.
    /// - Complexity: O(classes).
    func curvature(
        logits: UnsafePointer<Float>, targets: HeadTargets, row: Int, scale: Double, classes: Int
    ) -> LossSum
}

/// A sum of losses, and what to divide it by.
public struct LossSum: Equatable, Sendable {
    /// The losses of the rows, each times its weight.
    public var loss: Double
    /// The weights of the rows: the number of rows where nothing is weighted.
    public var weight: Double

    /// Creates a sum; of no rows, if nothing is given.
    public init(loss: Double = 0, weight: Double = 0) {
        self.loss = loss
        self.weight = weight
    }

    /// Takes loss and weight out of a row of numbers.
    init(_ numbers: [Double], at index: Int) {
        self.init(loss: numbers[index], weight: numbers[index + 1])
    }

    /// Loss and weight.
    var numbers: [Double] { [loss, weight] }

    /// The weighted mean; 0 where nothing counts.
    public var mean: Double { loss * inverseWeight }

    /// What sums are multiplied by to become means; 0 where nothing counts.
    public var inverseWeight: Double { weight > 0 ? 1 / weight : 0 }

    /// Adds the sum of other rows.
    public static func += (left: inout LossSum, right: LossSum) {
        left.loss += right.loss
        left.weight += right.weight
    }
}

/// What a head should say of rows. A loss reads the arrays it needs; the others may be empty.
public struct HeadTargets: Equatable, Sendable {
    /// [rows], in 0..<classes.
    public var labels: [Int32]
    /// [rows, classes]: what the teacher says, usually the final exit.
    public var teacherLogits: [Float]
    /// [rows]: numbers to regress on.
    public var values: [Float]
    /// [rows]: how much each row counts, not negative; empty for 1 each.
    public var rowWeights: [Float]

    /// Collects targets.
    public init(labels: [Int32] = [], teacherLogits: [Float] = [], values: [Float] = [], rowWeights: [Float] = []) {
        self.labels = labels
        self.teacherLogits = teacherLogits
        self.values = values
        self.rowWeights = rowWeights
    }

    /// Those of some rows, in the order given: a minibatch.
    ///
    /// - Complexity: O(rows * classes) with a teacher, O(rows) without.
    public func selecting(_ rows: [Int], classes: Int) -> HeadTargets {
        HeadTargets(
            labels: labels.isEmpty ? [] : rows.map { labels[$0] },
            teacherLogits: teacherLogits.isEmpty
                ? [] : rows.flatMap { teacherLogits[($0 * classes)..<(($0 + 1) * classes)] },
            values: values.isEmpty ? [] : rows.map { values[$0] },
            rowWeights: rowWeights.isEmpty ? [] : rows.map { rowWeights[$0] })
    }
}

extension HeadTargets {
    /// How much a row counts.
    func weight(ofRow row: Int) -> Double { rowWeights.isEmpty ? 1 : Double(rowWeights[row]) }
}

extension HeadLoss {
    /// The summed loss of a block of rows, and the gradient of each row with respect to its logits.
    ///
    /// - Parameters:
    ///   - logits: [rows.count, stride], of which the first `classes` columns are this head's.
    ///   - targets: of all rows there are.
    ///   - rows: which rows of the targets the block holds.
    ///   - stride: from one row of the block to the next, for heads side by side; `classes` if left out.
    ///   - gradient: [rows.count, stride], written where the logits are, **not divided by the number of rows**; may be
    ///     `logits` itself; nil for the loss alone.
    /// - Returns: the sums to add to those of other blocks, in block order.
    /// - Complexity: O(rows * classes).
    public func evaluate(
        logits: UnsafePointer<Float>, targets: HeadTargets, rows: Range<Int>, classes: Int, stride: Int? = nil,
        gradient: UnsafeMutablePointer<Float>?
    ) -> LossSum {
        let stride = stride ?? classes
        precondition(classes > 0 && stride >= classes, "one or more classes, within the stride")
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * classes) { memory in
            let scratch = LossScratch(memory.baseAddress!, classes: classes)
            var sum = LossSum()
            for (index, row) in rows.enumerated() {
                scratch.gradient.update(repeating: 0, count: classes)
                sum += addRow(
                    logits: logits + index * stride, targets: targets, row: row, scale: targets.weight(ofRow: row),
                    scratch: scratch)
                guard let gradient else { continue }
                for column in 0..<classes { gradient[index * stride + column] = Float(scratch.gradient[column]) }
            }
            return sum
        }
    }
}

/// The memory a loss needs for a row.
public struct LossScratch {
    /// How many classes there are.
    public let classes: Int
    /// [classes]: the gradient, which losses add to.
    public let gradient: UnsafeMutablePointer<Double>
    /// [classes]: free for use.
    let first: UnsafeMutablePointer<Double>
    /// [classes]: free for use.
    let second: UnsafeMutablePointer<Double>

    /// - Parameter memory: [3 * classes]
    init(_ memory: UnsafeMutablePointer<Double>, classes: Int) {
        self.classes = classes
        gradient = memory
        first = memory + classes
        second = memory + 2 * classes
    }

    /// `softmax(logits / temperature)`.
    ///
    /// - Parameters:
    ///   - logits: [classes]
    ///   - probabilities: [classes], written.
    /// - Returns: the largest logit, and `ln sum exp((logits - top) / temperature)`: so that the logarithm of a
    ///   probability is `(logit - top) / temperature - logSum`, which stays finite where the probability is 0.
    @inline(__always)
    func softmax(
        _ logits: UnsafePointer<Float>, temperature: Double = 1, into probabilities: UnsafeMutablePointer<Double>
    ) -> (top: Double, logSum: Double) {
        var top = Double(logits[0])
        for index in 1..<max(classes, 1) { top = max(top, Double(logits[index])) }
        var sum = 0.0
        for index in 0..<classes {
            let exponential = exp((Double(logits[index]) - top) / temperature)
            probabilities[index] = exponential
            sum += exponential
        }
        for index in 0..<classes { probabilities[index] /= sum }
        return (top, log(sum))
    }
}
