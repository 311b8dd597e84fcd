import Calibration

/// What `beem study` tells.
public struct StudySummary: Sendable {
    private let result: StudyResult

    /// Collects what is told.
    public init(_ result: StudyResult) { self.result = result }

    /// A table and what to make of it.
    public var text: String {
        let knowsTruth = result.methods.contains { $0.errorRate != nil }
        var columns: [(title: String, alignment: TextTable.Alignment)] = [
            ("method", .left), ("mean test speed-up", .right), ("deviation", .right), ("10 %", .right),
            ("median", .right), ("90 %", .right), ("mean test gap", .right), ("nothing certified", .right),
        ]
        if knowsTruth { columns.append(("certified in error", .right)) }
        var table = TextTable(columns)
        for row in result.methods {
            table.add(
                [
                    row.method, Format.speedUp(row.meanSpeedUp), Format.decimal(row.speedUpDeviation),
                ] + row.speedUpQuantiles.map(Format.speedUp) + [
                    Format.points(row.meanTestGap), row.isCertifying ? Format.percent(row.uncertified) : "-",
                ] + (knowsTruth ? [row.errorRate.map(Format.percent) ?? "-"] : []))
        }
        return """
            \(result.recipe): \(result.repeats) draws (\(result.draws.rawValue)) of \(Format.count(result.samples)) samples \
            outside train, seed \(result.seed); allowed gap \(Format.short(100 * result.allowedGap)) points at level \
            \(Format.short(result.level)); labels of tune and certify \(result.labels.rawValue)

            """ + table.text + "\n" + conclusion
    }

    private var conclusion: String {
        let rates = result.methods.compactMap(\.errorRate)
        guard let largest = rates.max() else {
            return """
                Draws share samples: this shows speed-up and its spread, not that the guarantee is valid. For that: --draws \
                bootstrap, or --labels random.

                """
        }
        let limit = "\(Format.percent(result.largestErrorRate)) (the level and three standard errors)"
        return largest <= result.largestErrorRate
            ? "VALID: no method certified in error in more than \(limit) of the draws; the most is "
                + "\(Format.percent(largest)).\n"
            : "NOT VALID: some method certified in error in more than \(limit) of the draws: \(Format.percent(largest)).\n"
    }
}
