import Evaluation
import ExitPolicy
import RiskControl
import Safetensors

extension FlipRates {
    /// The flip rates of a policy on its test split, which chose nothing.
    ///
    /// - Parameters:
    ///   - policy: the policy.
    ///   - file: the policy's, for messages.
    /// - Throws: `InputError` when the policy does not say, or its samples come in groups.
    public init(onTestOf policy: Policy, file: String) throws(InputError) {
        if policy.certificate?.kind == .groupBetting {
            throw InputError(
                .unsupported, file: file, item: "certificate.kind", seen: "samples in groups",
                expected: "independent samples, which plans are made for",
                advice: "Give --harmful and --helpful, and count groups as samples.")
        }
        guard let test = policy.test, let samples = test.samples, samples > 0, let harmful = test.harmfulFlips,
            let helpful = test.helpfulFlips, harmful >= 0, helpful >= 0, harmful + helpful <= samples
        else {
            throw InputError(
                .missing, file: file, item: "test", seen: "no count of flips",
                expected: "samples and flips of the test split",
                advice: "Calibrate again with this version, or give --harmful and --helpful.")
        }
        self.init(PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: helpful))
    }
}
