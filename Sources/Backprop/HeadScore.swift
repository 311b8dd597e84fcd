import ExitHeads
import LinearAlgebra

/// How good a head is on rows that did not train it.
struct HeadScore: Equatable, Sendable {
    /// The mean loss, without penalty, class weights and smoothing: cross-entropy in nats, or the squared error.
    var loss: Double
    /// The share of wrong labels; of numbers, the share that misses by more than the tolerance.
    var error: Double

    /// Measures the head as it will be saved.
    ///
    /// - Parameters:
    ///   - kind: what the head learns from.
    ///   - tolerance: by how much a number may miss.
    /// - Complexity: O(rows * parameters).
    init(of head: ExitHead, on rows: LabelledRows, kind: TrainingLoss.Kind, tolerance: Double, threads: Int) {
        let classes = head.classCount
        let loss: any HeadLoss = kind == .crossEntropy ? CrossEntropyLoss() : SquaredErrorLoss()
        let targets = rows.targets
        let blocks = ExitForward(head: head).mapBlocks(of: rows.features, threads: threads) { range, logits in
            let sum = loss.evaluate(logits: logits, targets: targets, rows: range, classes: classes, gradient: nil)
            let wrong = range.count { row in
                let own = logits + (row - range.lowerBound) * classes
                guard kind == .crossEntropy else {
                    return !(abs(Double(own[0]) - Double(targets.values[row])) <= tolerance)
                }
                var label = 0
                for index in 0..<classes where own[index] > own[label] { label = index }
                return Int32(label) != targets.labels[row]
            }
            return (sum: sum, wrong: wrong)
        }
        var total = LossSum()
        for block in blocks { total += block.sum }
        self.loss = total.mean
        error = Double(blocks.reduce(0) { $0 + $1.wrong }) / Double(rows.rowCount)
    }
}
