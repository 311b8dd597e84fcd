/// What counts against a policy on one sample.
public enum PolicyLoss: String, Codable, CaseIterable, Sendable {
    /// A wrong label, against the reference's on the same sample: helpful flips count in the policy's favour.
    case error
    /// A label that is not the reference's, right or wrong; needs no true labels, and knows no helpful flips.
    case disagreement
}
