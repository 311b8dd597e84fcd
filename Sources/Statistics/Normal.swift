import RealModule

/// The standard normal distribution.
public enum Normal {
    /// `P(Z <= z)`, with its own digits far out in the lower tail.
    public static func cdf(_ z: Double) -> Double {
        0.5 * .erfc(-z * Double.sqrt(0.5))
    }

    /// `P(Z > z)`, with its own digits far out in the upper tail.
    public static func upperTail(_ z: Double) -> Double {
        cdf(-z)
    }

    /// The density at z.
    public static func density(_ z: Double) -> Double {
        .exp(-0.5 * z * z) / .sqrt(2 * Double.pi)
    }

    /// The z with `P(Z <= z) = probability`; minus infinity at 0 and infinity at 1.
    ///
    /// Good to 1e-14 relative; below the least normal Double (z = -37.5) the quantile of that number. Newton's method, from a side where it cannot overshoot: `erf` is concave for positive
    /// arguments, and so is the logarithm of the tail.
    ///
    /// - Parameter probability: in 0...1.
    public static func quantile(_ probability: Double) -> Double {
        precondition((0...1).contains(probability), "a probability lies in 0...1")
        let fromCentre = probability - 0.5
        if abs(fromCentre) < 0.4 { return central(fromCentre) }
        let tail = min(probability, 1 - probability)
        if tail == 0 { return fromCentre < 0 ? -.infinity : .infinity }
        let z = tailQuantile(max(tail, .leastNormalMagnitude))
        return fromCentre < 0 ? -z : z
    }

    /// The z with `P(0 < Z <= z) = probability`, for probabilities of either sign below 0.4.
    private static func central(_ probability: Double) -> Double {
        var z = probability * .sqrt(2 * Double.pi)
        for _ in 0..<20 {
            let change = (probability - 0.5 * .erf(z * Double.sqrt(0.5))) / density(z)
            z += change
            if abs(change) <= z.magnitude.ulp { break }
        }
        return z
    }

    /// The z with `P(Z > z) = probability`, for probabilities up to 0.1.
    private static func tailQuantile(_ probability: Double) -> Double {
        // P(Z > z) <= exp(-z^2 / 2) / 2, so this start lies above; much beyond 37.5 the tail itself would underflow.
        var z = min(37.5, .sqrt(-2 * .log(2 * probability)))
        for _ in 0..<40 {
            let tail = upperTail(z)
            let change = (Double.log(tail) - .log(probability)) * tail / density(z)
            z += change
            if abs(change) <= z.ulp { break }
        }
        return z
    }
}
