import ExitPolicy

/// What a certificate says, in plain words.
struct CertificateText {
    let certificate: Certificate
    /// [exits]: their names.
    let exits: [String]
    /// What is added to the sentence: the speed on test, say.
    var ending = ""

    init(_ certificate: Certificate, exits: [String], ending: String = "") {
        self.certificate = certificate
        self.exits = exits
        self.ending = ending
    }

    /// A sentence, and one more for parts of the population.
    var text: String {
        let confidence = Format.short(100 * (1 - certificate.failureProbability))
        let uses =
            certificate.uses == 1
            ? "" : " (delta divided over \(certificate.uses) uses; all their claims hold together)"
        let tests =
            certificate.candidatesTested == 1
            ? "the only test" : "test \(certificate.candidatesTested) in an order fixed on tune"
        return """
            CERTIFIED: with \(confidence) % confidence over the draw of the \(Format.count(certificate.samples)) certify \
            \(certificate.measuredLoss.map { "\($0.unit)s" } ?? "samples")\(uses), \(claim) (p = \(Format.probability(certificate.pValue)): \(flips); \(tests))\(ending).
            \(parts)
            """
    }

    private var claim: String {
        if let loss = certificate.measuredLoss {
            let ofParts = certificate.kind == .sequenceBetting ? ", of whole sequences," : ""
            let most =
                certificate.allowedGap == 0 ? "not above" : "at most \(Format.short(certificate.allowedGap)) above"
            return
                "the mean loss (\(loss.name)) of the \(loss.unit)s\(ofParts) under '\(loss.candidate)' is \(most) the "
                + "reference's"
        }
        let gap = "\(Format.short(100 * certificate.allowedGap))"
        let name = Self.name(certificate.reference, exits: exits)
        if certificate.loss == .disagreement {
            return "the policy's label differs from \(name)'s on at most \(gap) % of samples"
        }
        return certificate.allowedGap == 0
            ? "the policy's error rate is not above \(name)'s"
            : "the policy's error rate is at most \(gap) \(gap == "1" ? "point" : "points") above \(name)'s"
    }

    private var flips: String {
        if let loss = certificate.measuredLoss {
            return "\(Format.decimal(loss.loss)) against \(Format.decimal(loss.referenceLoss)); "
                + "\(certificate.harmfulFlips) \(loss.unit)s worse, \(certificate.helpfulFlips) better"
        }
        return certificate.loss == .disagreement
            ? "\(certificate.harmfulFlips) differ"
            : "\(certificate.harmfulFlips) harmful against \(certificate.helpfulFlips) helpful flips"
    }

    private var parts: String {
        guard let parts = certificate.parts else { return "" }
        let kind = parts.partition == .classes ? "class" : "subgroup"
        switch parts.demand {
        case .all: return "The same holds within every \(kind).\n"
        case .each:
            let covered = parts.members.filter(\.isCertified).map(\.name)
            let open = parts.members.filter { !$0.isCertified }.map(\.name)
            return "Within each \(kind), all of these together with the same confidence: "
                + (covered.isEmpty ? "none" : covered.joined(separator: ", "))
                + (open.isEmpty ? ".\n" : ". Not shown: \(open.joined(separator: ", ")).\n")
        }
    }

    /// What a reference is called.
    static func name(_ reference: Certificate.Reference, exits: [String]) -> String {
        switch reference {
        case .final: "the final layer"
        case .exit(let index): exits.indices.contains(index) ? exits[index] : "exit \(index)"
        }
    }
}
