import Calibration
import ExitPolicy

/// What `beem certify --losses` tells.
public struct LossCertificationSummary: Sendable {
    private let certification: LossCertification

    /// Collects what is told.
    public init(_ certification: LossCertification) { self.certification = certification }

    /// The candidates on tune in the order of their tests, the chosen one on the other splits, and a sentence.
    public var text: String { [candidates, splits, note, verdict].filter { !$0.isEmpty }.joined(separator: "\n") }

    private var candidates: String {
        let outcome = certification.outcome
        var table = TextTable(
            [("candidate", .left), ("certify", .left)]
                + (certification.tune == nil
                    ? []
                    : [
                        ("tune loss", .right), ("above reference", .right), ("std. error", .right),
                        ("speed-up", .right),
                    ]))
        for candidate in outcome.planned {
            let isTested = outcome.tested.contains(candidate)
            let shown = outcome.passed.contains(candidate) ? "passed" : isTested ? "failed" : "not reached"
            let tune = certification.tune?[candidate]
            table.add(
                [certification.candidates[candidate], shown]
                    + (tune.map { Self.cells($0) + [Format.speedUp($0.speedUp)] } ?? []))
        }
        return "Candidates in the order of their tests, \(certification.claim.order?.rawValue ?? "given")\n"
            + table.text
    }

    private static func cells(_ split: LossCertification.OnSplit) -> [String] {
        [
            Format.decimal(split.loss), Format.decimal(split.difference),
            split.standardError.map(Format.decimal) ?? "-",
        ]
    }

    private var splits: String {
        guard let chosen = certification.chosen else { return "" }
        var table = TextTable([
            ("split", .left), ("\(certification.claim.unit)s", .right), ("reference loss", .right), ("loss", .right),
            ("above reference", .right), ("std. error", .right), ("worse", .right), ("better", .right),
            ("speed-up", .right),
        ])
        let place = certification.outcome.chosen!
        let rows = [
            ("tune", certification.tune?[place]), ("certify", certification.certify), ("test", certification.test),
        ]
        for case (let name, let split?) in rows {
            table.add(
                [name, Format.count(split.samples), Format.decimal(split.referenceLoss)] + Self.cells(split) + [
                    Format.count(split.worse), Format.count(split.better), Format.speedUp(split.speedUp),
                ])
        }
        return "'\(chosen)' against the reference on the same \(certification.claim.unit)s\n" + table.text
    }

    private var note: String {
        certification.fullCostIsGuessed
            ? "Speed-up is relative to the dearest candidate; name the cost without early exit with --full-cost.\n" : ""
    }

    private var verdict: String {
        if let certificate = certification.certificate { return CertificateText(certificate, exits: []).text }
        let claim = certification.claim
        return """
            NOT CERTIFIED: no candidate's mean \(claim.name) could be shown to be at most \
            \(Format.short(claim.allowedGap)) above the reference's at level \(Format.short(claim.level)).

            """
    }
}

/// What `beem certify --losses --json` prints.
public struct LossCertificationJSON: Encodable, Sendable {
    /// A candidate's place in the walk.
    struct Candidate: Encodable, Sendable {
        var name: String
        /// Its place in the order, from 0; nil where it was not put in order.
        @ExplicitNull var place: Int?
        var isTested: Bool
        var passed: Bool
        @ExplicitNull var tune: LossCertification.OnSplit?
    }

    /// What is certified; nil when nothing could be.
    @ExplicitNull public var certificate: Certificate?
    /// The candidate that is certified.
    @ExplicitNull public var candidate: String?
    /// What a sample costs without early exit.
    public var fullCost: Double
    /// All candidates, in the order of the table.
    var candidates: [Candidate]
    /// What the chosen one does on certify.
    @ExplicitNull public var certify: LossCertification.OnSplit?
    /// What it does on test.
    @ExplicitNull public var test: LossCertification.OnSplit?

    /// Collects the numbers.
    public init(_ certification: LossCertification) {
        certificate = certification.certificate
        candidate = certification.chosen
        fullCost = certification.fullCost
        let outcome = certification.outcome
        candidates = certification.candidates.enumerated().map { index, name in
            Candidate(
                name: name, place: outcome.planned.firstIndex(of: index), isTested: outcome.tested.contains(index),
                passed: outcome.passed.contains(index), tune: certification.tune?[index])
        }
        certify = certification.certify
        test = certification.test
    }
}
