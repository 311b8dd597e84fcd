/// The score of the BEEM paper: exits are experts, and confidence accumulates while neighbouring exits agree.
///
/// `S_0 = w_0 C_0`; for i >= 1, `S_i = m S_{i-1} + w_i C_i` when exits i-1 and i give the same label, otherwise a
/// restart. Every operation is in Double and rounded by itself (no fused multiply-add), so that all runtimes get the
/// same bits.
///
/// - Note: With memory 0 the neighbours play no part: the score is accuracy-weighted confidence, and reports call it
///   that.
public struct BEEMRule: ExitRule, Equatable {
    /// What the score becomes when two neighbouring exits disagree.
    public enum Restart: String, Codable, CaseIterable, Sendable {
        /// `S_i = w_i C_i`: the exit at hand starts a new sum.
        case current
        /// `S_i = 0`: what the authors' public code does.
        case zero
    }

    /// [exits]: the weight of each exit; finite, not negative.
    public let weights: [Double]
    /// How much of the score before is kept on agreement, in [0, 1]; 1 is the paper's rule.
    public let memory: Double
    /// What happens on disagreement.
    public let restart: Restart

    /// Creates a rule.
    public init(weights: [Double], memory: Double = 1, restart: Restart = .current) {
        precondition(weights.allSatisfy { $0.isFinite && $0 >= 0 }, "exit weights are finite and not negative")
        precondition((0...1).contains(memory), "memory lies in 0...1")
        self.weights = weights
        self.memory = memory
        self.restart = restart
    }

    /// The accumulated, weighted confidence; see the type's formula.
    public func score(of prediction: Prediction, at exitIndex: Int, after previous: ScoredLabel?) -> Double {
        let own = weights[exitIndex] * Double(prediction.confidence)
        guard let previous else { return own }
        guard previous.label == prediction.label else { return restart == .current ? own : 0 }
        return memory * previous.score + own
    }
}
