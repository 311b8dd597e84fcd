import Calibration

/// What `beem compare` tells.
public struct ComparisonSummary: Sendable {
    private let comparison: RuleComparison
    private let spent: Int?

    /// Collects what is told.
    ///
    /// - Parameter spent: how many of the best are certified afterwards; nil for none.
    public init(_ comparison: RuleComparison, spent: Int? = nil) {
        self.comparison = comparison
        self.spent = spent
    }

    /// One table, the highest predicted speed-up first.
    public var text: String {
        var table = TextTable([
            ("rule", .left), ("thresholds", .left), ("predicted certified", .right), ("chance", .right),
            ("tuned speed-up", .right), ("tuned gap", .right), ("tuned error", .right), ("leave at exits", .left),
        ])
        for row in comparison.rows {
            table.add([
                row.name, row.thresholds, Format.speedUp(row.certifiedSpeedUp),
                Format.percent(row.certified), Format.speedUp(row.tunedSpeedUp), Format.points(row.tunedGap),
                Format.percent(row.tunedError), Self.shares(row.tunedShares),
            ])
        }
        return table.text
            + "\nCross-fitted on tune; \(use) The first line is the best of many predictions, and so a little flattered. "
            + "Shares are in percent of samples, exit by exit.\n"
    }

    private var use: String {
        spent.map { $0 == 1 ? "the first was then certified." : "the first \($0) were then certified." }
            ?? "certify was not looked at, so one of these may be chosen and certified."
    }

    private static func shares(_ shares: [Double]) -> String {
        shares.map { "\(Int((100 * $0).rounded()))" }.joined(separator: " ")
    }
}
