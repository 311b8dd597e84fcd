import Calibration
import ExitPolicy

/// What `beem certify` tells.
public struct CertificationSummary: Sendable {
    private let certification: PolicyCertification

    /// Collects what is told.
    public init(_ certification: PolicyCertification) { self.certification = certification }

    /// One sentence.
    public var text: String {
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
    /// Early wrong and reference right.
    public var harmfulFlips: Int
    /// Early right and reference wrong.
    public var helpfulFlips: Int

    /// Collects the numbers.
    public init(_ certification: PolicyCertification) {
        certificate = certification.policy.certificate
        pValue = certification.pValue
        samples = certification.counts.samples
        harmfulFlips = certification.counts.harmfulFlips
        helpfulFlips = certification.counts.helpfulFlips
    }
}
