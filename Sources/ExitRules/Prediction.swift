/// What one exit says of one sample.
public struct Prediction: Equatable, Sendable {
    /// The class with the first largest logit.
    public var label: Int32
    /// How sure the exit is; what it measures is the policy's ``ConfidenceMeasure``.
    public var confidence: Float

    /// Creates a prediction.
    public init(label: Int32, confidence: Float) {
        self.label = label
        self.confidence = confidence
    }
}

extension Prediction {
    /// The prediction that a row of logits stands for.
    ///
    /// The softmax is computed in Double from Float32 logits divided by the temperature, the confidence rounded to
    /// Float32 once, so that every runtime gets the same value from the same logits up to the last bits of `exp`.
    ///
    /// - Parameters:
    ///   - logits: [classes], finite, at least one.
    ///   - temperature: what the logits are divided by; positive.
    ///   - measure: what is reported as confidence.
    /// - Complexity: O(classes).
    public init(
        logits: UnsafeBufferPointer<Float>, temperature: Double = 1, measure: ConfidenceMeasure = .maxProbability
    ) {
        precondition(!logits.isEmpty, "a prediction needs at least one logit")
        precondition(temperature > 0, "a temperature is positive")
        var label = 0
        for index in logits.indices where logits[index] > logits[label] { label = index }
        self.init(
            label: Int32(label),
            confidence: measure.confidence(ofLogits: logits, first: label, temperature: temperature))
    }
}
