import Foundation

/// What an exit's confidence measures; each lies in [0, 1] and rises with certainty.
public enum ConfidenceMeasure: String, Codable, CaseIterable, Sendable {
    /// The largest probability.
    case maxProbability = "max-probability"
    /// The largest probability minus the second largest.
    case margin
    /// 1 - H / ln(classes), H the entropy of the probabilities in nats.
    case entropy

    /// The confidence of a row of logits, computed in Double and rounded to Float32 once.
    ///
    /// - Parameters:
    ///   - logits: [classes], finite.
    ///   - first: the index of the first largest logit.
    ///   - temperature: what the logits are divided by.
    func confidence(ofLogits logits: UnsafeBufferPointer<Float>, first: Int, temperature: Double) -> Float {
        let top = Double(logits[first]) / temperature
        var sum = 0.0
        switch self {
        case .maxProbability:
            for logit in logits { sum += exp(Double(logit) / temperature - top) }
            return Float(1 / sum)
        case .margin:
            var second = -Double.infinity
            for index in logits.indices {
                let scaled = Double(logits[index]) / temperature
                sum += exp(scaled - top)
                if index != first { second = max(second, scaled) }
            }
            return Float((1 - exp(second - top)) / sum)
        case .entropy:
            guard logits.count > 1 else { return 1 }
            // H = ln(sum) - sum p_k (z_k - top), with p_k = e_k / sum.
            var weighted = 0.0
            for logit in logits {
                let shifted = Double(logit) / temperature - top
                let exponential = exp(shifted)
                sum += exponential
                weighted += exponential * shifted
            }
            let entropy = log(sum) - weighted / sum
            return Float(1 - entropy / log(Double(logits.count)))
        }
    }
}
