import ExitPolicy
import Safetensors

extension Policy {
    /// Refuses a policy whose certificate speaks of losses that were measured outside: labels say nothing about them.
    ///
    /// - Throws: `InputError` that says what to do instead.
    public func requireCertificateOfLabels(file: String) throws(InputError) {
        guard let loss = certificate?.measuredLoss else { return }
        throw InputError(
            .unsupported, file: file, item: "certificate.measuredLoss", seen: "a certificate of the mean \(loss.name)",
            expected: "one of labels, which the samples at hand tell",
            advice: "Measure the loss on new \(loss.unit)s and test it with `beem certify --losses`.")
    }
}
