/// The preconditioner of an objective wherever it is asked for, measured when the anchor changes.
///
/// Nothing of it is worth saving: at the same anchor it is the same again, to the last bit.
struct AnchoredPreconditioner: Sendable {
    private let objective: LinearHeadObjective
    private let l2: Double
    private var anchor: LBFGS.Anchor?
    private var measured: HeadPreconditioner?

    /// One of an objective with a penalty, not measured yet.
    init(of objective: LinearHeadObjective, l2: Double) {
        self.objective = objective
        self.l2 = l2
    }

    /// P⁻¹ times a vector, P the approximation of the Hessian at the anchor: what ``LBFGS`` asks for.
    ///
    /// - Complexity: that of ``HeadPreconditioner/apply(_:)``, and of measuring it where the anchor is new.
    mutating func apply(_ vector: [Double], at anchor: LBFGS.Anchor) -> [Double] {
        if let measured, anchor == self.anchor { return measured.apply(vector) }
        var parameters = LinearParameters(classCount: objective.outputCount, width: objective.features.width)
        parameters.values = anchor.point
        let new = HeadPreconditioner(
            of: objective, at: .init(parameters: parameters, l2: l2), isRough: anchor.isRough)
        measured = new
        self.anchor = anchor
        return new.apply(vector)
    }
}
