import Foundation

extension Recipe.RuleChoice {
    /// The rule in words; a score without memory is not called BEEM.
    public var title: String {
        switch kind {
        case .beem: break
        case .maxProbability: return "maximum probability"
        case .margin: return "margin between the two largest probabilities"
        case .entropy: return "entropy"
        case .patience: return "patience (exits in a row that say the same)"
        case .static: return "static (everyone leaves at one exit: the truncated network)"
        }
        let measure = confidence == .maxProbability ? "" : " (\(confidence.rawValue))"
        if memory == 0 {
            return "\(weights.name)-weighted confidence\(measure), memory 0: neighbouring exits play no part"
        }
        let paper: String? =
            switch weights {
            case .accuracy: "BEEM-A"
            case .cost: "BEEM-C"
            case .authorsCode: "BEEM as in the authors' code (weights 0.4 i)"
            default: nil
            }
        return "\(paper ?? "BEEM with \(weights.name) weights"), memory \(String(format: "%g", memory)), "
            + "restart \(restart.rawValue)\(measure)"
    }
}
