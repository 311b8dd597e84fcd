import ExitHeads

/// A head that training with one penalty led to.
struct SolvedPenalty: Codable, Equatable, Sendable {
    var head: SavedHead
    var candidate: TrainedHead.Candidate
}

/// A head in a form that is encoded compactly and exactly.
struct SavedHead: Codable, Equatable, Sendable {
    private let form: HeadForm
    private let values: PackedNumbers<Double>

    init(_ head: ExitHead) {
        form = HeadForm(head)
        values = PackedNumbers(form.values(of: head, standardization: nil))
    }

    /// The head, to the last bit.
    var head: ExitHead { form.head(values.values, standardization: nil) }
}
