import RealModule

/// The regularised incomplete beta function `I_x(a, b)`: the distribution function of a Beta(a, b) variable.
public enum IncompleteBeta {
    /// `I_x(a, b)` and `1 - I_x(a, b)`, both with their own digits.
    ///
    /// Relative error about 1e-13 of the smaller one for a and b up to a million. The fraction converges in
    /// O(sqrt(max(a, b))) steps.
    ///
    /// - Parameters:
    ///   - a: positive, finite.
    ///   - b: positive, finite.
    ///   - x: in 0...1.
    /// - Reference: the continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions, evaluated by
    ///   the modified Lentz method; its factor by `SaddlePoint`.
    public static func tails(_ a: Double, _ b: Double, x: Double) -> (lower: Double, upper: Double) {
        precondition(a > 0 && b > 0 && a.isFinite && b.isFinite, "the parameters are positive and finite")
        precondition((0...1).contains(x), "the argument lies in 0...1")
        if x == 0 { return (0, 1) }
        if x == 1 { return (1, 0) }
        let factor = weightedDensity(a, b, x: x)
        let complement = DoubleDouble(sum: 1, -x)
        // How far x is below the mean; it cancels, and for small x or 1 - x a plain Double would lose it.
        let below = (DoubleDouble(a) * complement - DoubleDouble(b) * DoubleDouble(x)).head
        // The fraction converges fast only on its own side of the mean.
        if x < (a + 1) / (a + b + 2) {
            let lower = min(1, factor / fraction(a, b, x: x, below: below))
            return (lower, 1 - lower)
        }
        let upper = min(1, factor / fraction(b, a, x: complement.head, below: -below))
        return (1 - upper, upper)
    }

    /// The x with `I_x(a, b) = lowerTail`.
    ///
    /// - Parameters:
    ///   - lowerTail: in 0...1.
    ///   - a: the first parameter, positive.
    ///   - b: the second parameter, positive.
    public static func inverse(lowerTail: Double, _ a: Double, _ b: Double) -> Double {
        precondition((0...1).contains(lowerTail), "a probability lies in 0...1")
        if lowerTail == 0 || lowerTail == 1 { return lowerTail }
        return solve(a, b) { tails in
            tails.lower > lowerTail
        } step: { x, tails in
            // Newton on ln I as a function of ln x, which is concave: x^a at the left end becomes a line.
            let slope = weightedDensity(a, b, x: x) / (1 - x) / tails.lower
            return x * .exp((Double.log(lowerTail) - .log(tails.lower)) / slope)
        }
    }

    /// The x with `1 - I_x(a, b) = upperTail`; keeps its digits where x is tiny or the tail is.
    ///
    /// - Parameters:
    ///   - upperTail: in 0...1.
    ///   - a: the first parameter, positive.
    ///   - b: the second parameter, positive.
    public static func inverse(upperTail: Double, _ a: Double, _ b: Double) -> Double {
        precondition((0...1).contains(upperTail), "a probability lies in 0...1")
        if upperTail == 0 || upperTail == 1 { return 1 - upperTail }
        return solve(a, b) { tails in
            tails.upper < upperTail
        } step: { x, tails in
            let slope = weightedDensity(a, b, x: x) / (x * (1 - x)) / tails.upper
            return x - (Double.log(upperTail) - .log(tails.upper)) / slope
        }
    }

    /// A root by Newton steps inside a bracket that every evaluation narrows; where a step leaves the bracket, the
    /// bracket is halved, in units of the last place, so that roots like 1e-200 are found as fast as 0.3.
    private static func solve(
        _ a: Double, _ b: Double, isPast: ((lower: Double, upper: Double)) -> Bool,
        step: (_ x: Double, _ tails: (lower: Double, upper: Double)) -> Double
    ) -> Double {
        var low = 0.0
        var high = 1.0
        var x = a / (a + b)
        var previousChange = Double.infinity
        // 64 halvings would do alone; a Newton step is taken only where it helps.
        for _ in 0..<200 {
            let tails = tails(a, b, x: x)
            if isPast(tails) { high = x } else { low = x }
            var next = step(x, tails)
            let change = abs(next - x)
            if change <= 2 * x.ulp { return min(max(next, low), high) }
            if !(next > low && next < high) || change > previousChange / 2 {
                next = Double(bitPattern: (low.bitPattern + high.bitPattern) / 2)
                if next == low || next == high { return next }
            }
            previousChange = max(change, abs(next - x))
            x = next
        }
        return x
    }

    /// `x^a (1 - x)^b / B(a, b)`.
    private static func weightedDensity(_ a: Double, _ b: Double, x: Double) -> Double {
        let logarithm = SaddlePoint.logDensity(a, b, p: DoubleDouble(x), q: DoubleDouble(sum: 1, -x))
        return SaddlePoint.exp(logarithm) * (a / (a + b)) * b
    }

    /// The continued fraction of `x^a (1 - x)^b / (B(a, b) I_x(a, b))`: the even part of 8.17.22.
    ///
    /// - Parameter below: `a (1 - x) - b x`.
    private static func fraction(_ a: Double, _ b: Double, x: Double, below: Double) -> Double {
        // Lentz replaces a vanishing denominator by the smallest number that keeps the quotient finite.
        func safe(_ value: Double) -> Double { abs(value) < 1e-300 ? 1e-300 : value }
        var value = safe(a * (below + 1) / (a + 1))
        var numerator = value
        var denominator = 0.0
        // Convergence takes O(sqrt(max(a, b))) steps; the limit only stops a caller's impossible numbers.
        for step in 1...10_000_000 {
            let m = Double(step)
            let width = a + 2 * m
            let factor = m * (b - m) * x / (width - 1)
            let partial = (a + m - 1) / (width - 1) * (a + b + m - 1) * x * factor
            let term = m + factor + (a + m) * (below + 1 + m * (2 - x)) / (width + 1)
            denominator = 1 / safe(term + partial * denominator)
            numerator = safe(term + partial / numerator)
            let change = numerator * denominator
            value *= change
            if abs(change - 1) <= 0x1p-52 { break }
        }
        return value
    }
}
