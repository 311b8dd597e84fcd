/// Bounds the length of gradients (Pascanu, Mikolov and Bengio, 2013, algorithm 1).
public enum GradientClipping {
    /// Shortens a gradient to a Euclidean norm, keeping its direction: `torch.nn.utils.clip_grad_norm_`.
    ///
    /// What is longer than `maximumNorm` is multiplied by `maximumNorm / (norm + 1e-6)`. A gradient with a number that is
    /// not finite has no direction to keep: it is left as it is, and the norm says so.
    ///
    /// - Parameters:
    ///   - gradient: of all parameters that are trained together, changed in place.
    ///   - maximumNorm: above 0.
    /// - Returns: the norm before, summed in Double in order.
    /// - Complexity: O(parameters).
    @discardableResult
    public static func clip<Scalar: BinaryFloatingPoint>(_ gradient: inout [Scalar], maximumNorm: Double) -> Double {
        precondition(maximumNorm > 0, "a norm above 0")
        var squares = 0.0
        for value in gradient { squares += Double(value) * Double(value) }
        let norm = squares.squareRoot()
        let scale = maximumNorm / (norm + 1e-6)
        guard norm.isFinite, scale < 1 else { return norm }
        let factor = Scalar(scale)
        for index in gradient.indices { gradient[index] *= factor }
        return norm
    }
}
