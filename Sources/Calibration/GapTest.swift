import Evaluation
import ExitPolicy
import RiskControl
import Statistics

/// How a policy and its reference compare on some samples: all that a test of the gap looks at.
enum PairedOutcome: Sendable {
    /// Independent samples: how many flips.
    case counts(PairedCounts)
    /// Samples in groups: the difference of each, -1, 0 or 1, and the group it is in.
    case grouped(differences: [Double], groups: [Int])
}

/// The test of "worse than allowed" that a guarantee calls for.
struct GapTest: Sendable {
    /// Which test.
    enum Method: Equatable, Sendable {
        /// Harmful against helpful flips of independent samples.
        case paired(PairedTest)
        /// Exact binomial on the flips that count against the policy; what helps it counts nothing. With the loss
        /// `disagreement` there is nothing else.
        case clippedLoss
        /// Betting, a group of samples the unit; 1 for independent samples.
        case betting(maximumGroupSize: Int)
    }

    /// Which test.
    var method: Method
    /// The largest gap, or rate of disagreement, that is accepted.
    var allowedGap: Double
    /// The level that betting aims at; any level may be asked about.
    var level: Double
    /// Orders the samples for betting.
    var seed: UInt64
    /// Decisions made before, where many alike are asked for.
    var memory: RejectionMemory?

    /// Whether "worse than allowed" is rejected at a level.
    ///
    /// - Complexity: one decision of the test in question.
    func isRejected(_ outcome: PairedOutcome, at level: Double) -> Bool {
        if case .paired(.exactTrinomial) = method, case .counts(let counts) = outcome {
            let test = ExactTrinomialTest(allowedGap: allowedGap)
            return memory?.isRejected(counts, by: test, at: level) ?? test.isRejected(counts, at: level)
        }
        return pValue(outcome) <= level
    }

    /// The p-value of "worse than allowed".
    func pValue(_ outcome: PairedOutcome) -> Double {
        switch (method, outcome) {
        case (.paired(let test), .counts(let counts)): test.pValue(counts, allowedGap: allowedGap)
        case (.clippedLoss, .counts(let counts)): clippedLossPValue(counts, allowedGap: allowedGap)
        case (.betting(let size), .grouped(let differences, let groups)):
            bettingPValue(differences, groups: groups, maximumGroupSize: size)
        default: preconditionFailure("counts are tested as counts, groups by betting")
        }
    }

    private func bettingPValue(_ differences: [Double], groups: [Int], maximumGroupSize: Int) -> Double {
        do {
            return try PairedBettingTest(allowedGap: allowedGap, seed: seed, level: level)
                .pValue(differences: differences, groups: groups, maximumGroupSize: maximumGroupSize)
        } catch {
            preconditionFailure("group sizes are checked before any test, and differences are -1, 0 or 1: \(error)")
        }
    }

    /// What the test is called in certificates.
    var certificateKind: Certificate.Kind {
        switch method {
        case .paired(.exactBinomial): .pairedExactBinomial
        case .paired(.exactTrinomial): .pairedExactTrinomial
        case .clippedLoss: .disagreement
        case .betting: .groupBetting
        }
    }
}

extension Recipe.Guarantee {
    /// The test of a guarantee.
    ///
    /// - Parameters:
    ///   - maximumGroupSize: the largest group of samples that can occur; 1 when all are independent.
    ///   - seed: orders the samples where the test needs an order.
    func test(maximumGroupSize: Int, seed: UInt64) -> GapTest {
        let method: GapTest.Method =
            if maximumGroupSize > 1 { .betting(maximumGroupSize: maximumGroupSize) } else if loss == .disagreement {
                .clippedLoss
            } else { .paired(.strongest) }
        return GapTest(method: method, allowedGap: allowedGap, level: level, seed: seed)
    }
}
