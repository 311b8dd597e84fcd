import FeatureCache
import Foundation
import Safetensors

extension CertifyLog {
    /// The log beside a table of losses.
    public init(besideLosses file: String) {
        self.init(besideOutput: file)
    }

    /// Writes down that candidates are certified on the certify samples of a table. Whatever else the test depends on, another
    /// table, gap, order, group size or cost, makes another use of the same samples; what the loss is called does not.
    public func record(_ table: LossTable, claim: LossCertification.Claim) throws(InputError) -> Usage {
        // The samples are told by their names and what the reference loses on them.
        var certify = Data()
        if let part = table.parts[.certify] {
            let lines = zip(part.samples, part.referenceLosses).map { "\($0)\t\($1)\n" }.sorted()
            certify = Data(lines.joined().utf8)
        }
        let text =
            "\(table.sha256) \(claim.allowedGap) \(claim.failureProbability) \(claim.uses) \(claim.range) "
            + "\(claim.order?.rawValue ?? "given") \(claim.seed) \(claim.maximumGroupSize ?? 0) \(claim.fullCost ?? 0)"
        return try record(
            Use(
                certify: sha256(of: certify), features: "losses: \(claim.name)", recipe: sha256(of: Data(text.utf8)),
                name: claim.name, seed: claim.seed, heads: "", action: Action.certify.name))
    }
}
