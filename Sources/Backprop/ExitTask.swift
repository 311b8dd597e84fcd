import ExitHeads
import Ranks

/// What the training of one exit's head works on, which does not change.
struct ExitTask: Sendable {
    let settings: TrainingSettings
    /// What is learnt from.
    let train: LabelledRows
    /// What penalties, and the end of training, are chosen by.
    let tune: LabelledRows
    let form: HeadForm
    let loss: any HeadLoss
    /// What rows are standardised by; nil where the head takes them as they come.
    let standardization: Standardization?
    /// [parameters]: where training starts.
    let start: [Double]
    /// What initial parameters and dropout are drawn with, apart for each exit.
    let seed: UInt64
    /// What minibatches are drawn with: all exits have the same.
    let batchSeed: UInt64
    let threads: Int
    /// Who shares the rows.
    let ranks: any Communicator
    /// By how much a number may miss.
    let tolerance: Double

    /// What a penalty led to, measured on tune.
    ///
    /// - Parameters:
    ///   - values: [parameters]
    ///   - passes: how often the train split was seen.
    func solved(
        _ values: [Double], l2: Double, objective: Double, passes: Int, converged: Bool
    ) -> SolvedPenalty {
        let head = form.head(values, standardization: standardization)
        let score = HeadScore(
            of: head, on: tune, kind: settings.loss.kind, tolerance: tolerance, threads: threads, ranks: ranks)
        return SolvedPenalty(
            head: SavedHead(head),
            candidate: TrainedHead.Candidate(
                l2: l2, objective: objective, tuneLoss: score.loss, tuneError: score.error, evaluations: passes,
                converged: converged))
    }
}
