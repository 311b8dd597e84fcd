import Foundation

/// How the exits' weights in the BEEM score are found.
public enum ExitWeights: Equatable, Sendable {
    /// BEEM-A: `w_i = 1 - e_i`, `e_i` the error rate of exit i on the tune split.
    case accuracy
    /// BEEM-C: `w_i = c_i / c_{L-1}`.
    case cost
    /// `max(0, ln((1 - e) / e))` with `e = (errors + 0.5) / (n + 1)` on the tune split.
    case logOdds
    /// All 1.
    case uniform
    /// `w_i = 0.4 i`, i from 0: what the authors' public code has; with one shared threshold and `restart: zero` it is
    /// that code's rule.
    case authorsCode
    /// Given by the user.
    case given([Double])

    /// The weights.
    ///
    /// - Parameters:
    ///   - errors: [exits]: how many samples of the tune split each exit gets wrong.
    ///   - sampleCount: the size of the tune split, at least 1.
    ///   - costs: [exits]: cumulative costs, positive and strictly increasing.
    public func values(errors: [Int], sampleCount: Int, costs: [Double]) -> [Double] {
        precondition(errors.count == costs.count, "one error count and one cost for each exit")
        precondition(sampleCount > 0, "error rates need samples")
        switch self {
        case .accuracy:
            return errors.map { 1 - Double($0) / Double(sampleCount) }
        case .cost:
            return costs.map { $0 / costs[costs.count - 1] }
        case .logOdds:
            return errors.map { count in
                let rate = (Double(count) + 0.5) / (Double(sampleCount) + 1)
                return max(0, log((1 - rate) / rate))
            }
        case .uniform:
            return costs.map { _ in 1 }
        case .authorsCode:
            return costs.indices.map { 0.4 * Double($0) }
        case .given(let weights):
            precondition(weights.count == costs.count, "one weight for each exit")
            return weights
        }
    }
}
