import Evaluation
import ExitRules
import RiskControl
import ThresholdOptimizer

/// The tests of a path's policies on one split, asked one at a time; counts of all of them are made in one pass.
struct PathTests: Sendable {
    let test: GapTest
    let path: PolicyPath
    let view: SplitView
    /// [parts][policies]; empty where groups are tested together, which needs every sample's difference.
    private let counts: [[PairedCounts]]
    private let wholeCounts: [PairedCounts]

    /// Prepares the tests.
    ///
    /// - Complexity: that of ``PolicyPath/points(on:)``.
    init(_ test: GapTest, of path: PolicyPath, on view: SplitView) {
        self.test = test
        self.path = path
        self.view = view
        guard view.whole.groups == nil else {
            (counts, wholeCounts) = ([], [])
            return
        }
        wholeCounts = path.points(on: view.whole.table).map(\.counts)
        counts = view.parts.map { path.points(on: $0.table).map(\.counts) }
    }

    /// Whether a policy is shown to be no worse than allowed, on the whole or, where all parts must pass, on each.
    func isRejected(_ policy: Int, at level: Double) -> Bool {
        guard view.demandsAll else { return test.isRejected(outcome(policy), at: level) }
        // The gap of the whole is a mean of the parts', so it needs no test of its own.
        return view.parts.indices.allSatisfy { isRejected(policy, part: $0, at: level) }
    }

    /// Whether a policy is shown to be no worse than allowed on one part.
    func isRejected(_ policy: Int, part: Int, at level: Double) -> Bool {
        test.isRejected(outcome(policy, part: part), at: level)
    }

    /// The p-value of a policy: the largest of its parts' where all must pass.
    func pValue(_ policy: Int) -> Double {
        guard view.demandsAll else { return test.pValue(outcome(policy)) }
        return view.parts.indices.map { test.pValue(outcome(policy, part: $0)) }.max() ?? 1
    }

    private func outcome(_ policy: Int, part: Int? = nil) -> PairedOutcome {
        guard view.whole.groups == nil else {
            return (part.map { view.parts[$0] } ?? view.whole).outcome(of: path.thresholds(of: policy))
        }
        return .counts(part.map { counts[$0][policy] } ?? wholeCounts[policy])
    }
}
