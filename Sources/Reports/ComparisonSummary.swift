import Calibration

/// What `beem compare` tells.
public struct ComparisonSummary: Sendable {
    private let comparison: RuleComparison

    /// Collects what is told.
    public init(_ comparison: RuleComparison) { self.comparison = comparison }

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
            + "\nCross-fitted on tune; certify was not looked at, so one of these may be chosen and certified. The first "
            + "line is the best of many predictions, and so a little flattered. Shares are in percent of samples, exit by exit.\n"
    }

    private static func shares(_ shares: [Double]) -> String {
        shares.map { "\(Int((100 * $0).rounded()))" }.joined(separator: " ")
    }
}
