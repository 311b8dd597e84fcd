import Calibration

/// What `beem verify` tells.
public struct VerificationSummary: Sendable {
    private let verification: Verification

    /// Collects what is told.
    public init(_ verification: Verification) { self.verification = verification }

    /// A table and a sentence.
    public var text: String {
        var table = TextTable([
            ("samples", .right), ("final layer error", .right), ("policy error", .right), ("gap (points)", .right),
            ("95 % interval", .right), ("harmful", .right), ("helpful", .right), ("speed-up", .right),
        ])
        let counts = verification.counts
        table.add([
            Format.count(counts.samples), Format.percent(verification.finalError), Format.percent(verification.error),
            Format.points(counts.riskGap),
            verification.gapInterval.map { Format.interval($0.lower, $0.upper) } ?? "-", "\(counts.harmfulFlips)",
            "\(counts.helpfulFlips)", Format.speedUp(verification.speedUp),
        ])
        return table.text + "\n" + sentence + "\n"
    }

    private var sentence: String {
        let level = Format.short(verification.level)
        let gap =
            "\(Format.short(100 * verification.allowedGap)) points"
            + (verification.countsDisagreement ? " of disagreement" : "")
        switch verification.verdict {
        case .confirmed:
            return
                "CONFIRMED: a gap above \(gap) is rejected (p = \(Format.probability(verification.pValue)) <= \(level))."
        case .contradicted:
            return "CONTRADICTED: a gap of at most \(gap) is rejected at level \(level)."
        case .undecided:
            return """
                UNDECIDED: these samples reject neither a gap above \(gap) (p = \
                \(Format.probability(verification.pValue))) nor one of at most that, at level \(level).
                """
        }
    }
}

/// What `beem verify --json` prints.
public struct VerificationJSON: Encodable, Sendable {
    /// confirmed, contradicted or undecided.
    public var verdict: Verification.Verdict
    /// How many samples.
    public var samples: Int
    /// Early wrong and final right.
    public var harmfulFlips: Int
    /// Early right and final wrong.
    public var helpfulFlips: Int
    /// The gap that the policy's certificate allows.
    public var allowedGap: Double
    /// The p-value of "gap above the allowed one".
    public var pValue: Double
    /// The two-sided 95 % interval of the gap; nil for samples in groups.
    public var gapInterval: [Double]?
    /// Error rate of the policy.
    public var error: Double
    /// Error rate of the final layer.
    public var finalError: Double
    /// The final layer's cost over the mean cost of the exits taken.
    public var speedUp: Double

    /// Collects the numbers.
    public init(_ verification: Verification) {
        verdict = verification.verdict
        samples = verification.counts.samples
        harmfulFlips = verification.counts.harmfulFlips
        helpfulFlips = verification.counts.helpfulFlips
        allowedGap = verification.allowedGap
        pValue = verification.pValue
        gapInterval = verification.gapInterval.map { [$0.lower, $0.upper] }
        error = verification.error
        finalError = verification.finalError
        speedUp = verification.speedUp
    }
}
