import Calibration
import ExitPolicy

/// What `beem certify` tells.
public struct CertificationSummary: Sendable {
    private let certification: PolicyCertification

    /// Collects what is told.
    public init(_ certification: PolicyCertification) { self.certification = certification }

    /// One sentence, after a table where several gaps were tested.
    public var text: String { steps + sentence }

    /// The gaps in the order of their tests.
    private var steps: String {
        guard certification.steps.count > 1 else { return "" }
        var table = TextTable([("gap allowed (points)", .right), ("p-value", .right), ("shown", .left)])
        for step in certification.steps {
            table.add([
                Format.short(100 * step.allowedGap), Format.probability(step.pValue), step.passed ? "yes" : "no",
            ])
        }
        return table.text
    }

    private var sentence: String {
        if let certificate = certification.policy.certificate {
            return CertificateText(certificate, exits: certification.policy.exits.map(\.name)).text
        }
        let counts = certification.counts
        return """
            NOT CERTIFIED: these \(Format.count(counts.samples)) samples do not reject a gap above \
            \(Format.short(100 * certification.guarantee.allowedGap)) points at level \
            \(Format.short(certification.guarantee.level)) (p = \(Format.probability(certification.pValue)): \
            \(counts.harmfulFlips) harmful against \(counts.helpfulFlips) helpful flips).

            """
    }
}

/// What `beem certify --json` prints.
public struct CertificationJSON: Encodable, Sendable {
    /// What is certified; nil when nothing could be.
    @ExplicitNull public var certificate: Certificate?
    /// The p-value of "worse than allowed".
    public var pValue: Double
    /// How many samples.
    public var samples: Int
    /// The gaps that were tested, from large to small.
    public var gaps: [PolicyCertification.Step]
    /// Early wrong and reference right.
    public var harmfulFlips: Int
    /// Early right and reference wrong.
    public var helpfulFlips: Int

    /// Collects the numbers.
    public init(_ certification: PolicyCertification) {
        certificate = certification.policy.certificate
        pValue = certification.pValue
        samples = certification.counts.samples
        gaps = certification.steps
        harmfulFlips = certification.counts.harmfulFlips
        helpfulFlips = certification.counts.helpfulFlips
    }
}
