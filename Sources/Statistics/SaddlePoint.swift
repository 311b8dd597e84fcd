import RealModule

/// The one formula behind binomial probabilities and the incomplete beta function.
///
/// - Reference: Loader (2000), "Fast and accurate computation of binomial probabilities"; the deviance terms are taken
///   in double-double arithmetic instead of Loader's series, so that no case loses digits.
enum SaddlePoint {
    /// `ln [ Gamma(n + 1) / (Gamma(a + 1) Gamma(b + 1)) p^a q^b ]` with `n = a + b`: for integers, the log-probability
    /// of a successes in n trials.
    ///
    /// Relative error of its exponential: a few 1e-15 at any size.
    ///
    /// - Parameters:
    ///   - a: positive.
    ///   - b: positive.
    ///   - p: in (0, 1), with `p + q = 1` to the last digit of the pair.
    static func logDensity(_ a: Double, _ b: Double, p: DoubleDouble, q: DoubleDouble) -> DoubleDouble {
        let n = DoubleDouble(sum: a, b)
        // The linear parts of the two deviances, n p - a and n q - b, cancel exactly because p + q = 1.
        let deviance =
            DoubleDouble(a) * .log(DoubleDouble(a) / (n * p)) + DoubleDouble(b) * .log(DoubleDouble(b) / (n * q))
        let scale = 0.5 * (Double.log(n.head) - Double.log(a) - Double.log(b) - Double.log(2 * Double.pi))
        let corrections = stirlingError(n.head) - stirlingError(a) - stirlingError(b)
        return DoubleDouble(sum: scale, corrections) - deviance
    }

    /// `ln Gamma(x + 1) - [ (x + 1/2) ln x - x + ln(2 pi) / 2 ]`, the error of Stirling's formula, to 1e-17 or so.
    ///
    /// - Parameter x: positive.
    static func stirlingError(_ x: Double) -> Double {
        // Below 16 the series is too short; climb there by error(x) - error(x + 1) = (x + 1/2) ln((x + 1) / x) - 1.
        var climbed = DoubleDouble(0)
        var x = x
        while x < 16 {
            let ratio = DoubleDouble(sum: x, 1) / DoubleDouble(x)
            climbed = climbed + DoubleDouble(sum: x, 0.5) * .log(ratio) - DoubleDouble(1)
            x += 1
        }
        let square = 1 / (x * x)
        var series = 691.0 / 360_360 * -square + 1.0 / 1188
        series = series * square - 1.0 / 1680
        series = series * square + 1.0 / 1260
        series = series * square - 1.0 / 360
        series = series * square + 1.0 / 12
        return climbed.head + series / x
    }

    /// The exponential of a pair.
    static func exp(_ value: DoubleDouble) -> Double {
        // e^(h + t) = e^h (1 + t) to the last bit, because t is below 1e-13.
        let head = Double.exp(value.head)
        return head + head * value.tail
    }
}
