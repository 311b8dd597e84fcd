import ExitHeads
import LinearAlgebra
import Ranks

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
    ///   - threads: how many may be used.
    ///   - ranks: who shares the rows.
    /// - Complexity: O(rows * parameters).
    init(
        of head: ExitHead, on rows: LabelledRows, kind: TrainingLoss.Kind, tolerance: Double, threads: Int,
        ranks: any Communicator = OneProcess()
    ) {
        let classes = head.classCount
        let loss: any HeadLoss = kind == .crossEntropy ? CrossEntropyLoss() : SquaredErrorLoss()
        let targets = rows.targets
        // Every chunk's loss, weight and wrong labels.
        let team = Team(threads: threads, ranks: ranks)
        let chunks = ExitForward(head: head).foldBlocks(of: rows.features, team: team) { range, logits in
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
            return sum.numbers + [Double(wrong)]
        }
        var total = LossSum()
        for chunk in chunks { total += LossSum(chunk, at: 0) }
        self.loss = total.mean
        error = chunks.reduce(0) { $0 + $1[2] } / Double(rows.rowCount)
    }
}
