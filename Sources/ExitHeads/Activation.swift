import Foundation

/// The function between the layers of a hidden head, applied to every unit by itself.
public enum Activation: String, CaseIterable, Codable, Equatable, Sendable {
    /// The hyperbolic tangent.
    case tanh
    /// `max(0, x)`.
    case relu
    /// `x Φ(x)`, Φ the normal distribution function, in the exact form with erf (`torch.nn.GELU()`); **not** the
    /// approximation with tanh, which differs from it by up to 5e-4.
    case gelu

    /// The function, in Double.
    ///
    /// Not a number stays one. GELU is computed from erfc, so that its tail at negative inputs keeps its digits.
    ///
    /// - Reference for GELU: Hendrycks and Gimpel (2016), "Gaussian error linear units", equation 1.
    public func value(at input: Double) -> Double {
        switch self {
        case .tanh: Foundation.tanh(input)
        case .relu: input < 0 ? 0 : input
        case .gelu: 0.5 * input * erfc(-input * 0.5.squareRoot())
        }
    }

    /// The derivative, in Double; that of ReLU at 0 is 0, as in PyTorch.
    ///
    /// - Parameters:
    ///   - input: where.
    ///   - value: the function there, which tanh's derivative `1 - value²` is taken from.
    public func slope(at input: Double, value: Double) -> Double {
        switch self {
        case .tanh: 1 - value * value
        case .relu: input > 0 ? 1 : 0
        case .gelu:
            0.5 * erfc(-input * 0.5.squareRoot()) + input * exp(-0.5 * input * input) / (2 * Double.pi).squareRoot()
        }
    }
}
