import RealModule

/// An unevaluated sum of two Doubles: about 32 decimal digits, for the few places where a difference of large terms
/// must come out to 1e-14.
///
/// A binomial log-probability is such a place: for a million trials its two entropy terms can be 1e5 each and cancel to
/// a few units, and what is left goes into an exponential. Not a general number type: no infinities, no NaN.
///
/// - Reference: Dekker (1971), "A floating-point technique for extending the available precision".
struct DoubleDouble {
    /// The value rounded to Double.
    var head: Double
    /// What the rounding left over.
    var tail: Double

    init(_ head: Double, _ tail: Double = 0) {
        self.head = head
        self.tail = tail
    }

    /// The exact sum of two Doubles.
    init(sum first: Double, _ second: Double) {
        (head, tail) = Augmented.sum(first, second)
    }

    static func + (left: Self, right: Self) -> Self {
        let heads = Augmented.sum(left.head, right.head)
        let tails = Augmented.sum(left.tail, right.tail)
        let first = DoubleDouble(sum: heads.head, heads.tail + tails.head)
        return DoubleDouble(sum: first.head, first.tail + tails.tail)
    }

    static prefix func - (value: Self) -> Self { DoubleDouble(-value.head, -value.tail) }

    static func - (left: Self, right: Self) -> Self { left + -right }

    static func * (left: Self, right: Self) -> Self {
        let heads = Augmented.product(left.head, right.head)
        return DoubleDouble(sum: heads.head, heads.tail + (left.head * right.tail + left.tail * right.head))
    }

    static func / (left: Self, right: Self) -> Self {
        let first = left.head / right.head
        let rest = left - right * DoubleDouble(first)
        let second = rest.head / right.head
        let last = rest - right * DoubleDouble(second)
        return DoubleDouble(sum: first, second) + DoubleDouble(last.head / right.head)
    }

    /// The natural logarithm, to about 30 digits of the larger of the result and 1.
    ///
    /// The argument is brought to m 2^e with m in [1/sqrt 2, sqrt 2], and
    /// `ln m = 2 (s + s^3/3 + s^5/5 + ...)` with `s = (m - 1) / (m + 1)`, `|s| < 0.172`.
    ///
    /// - Precondition: positive and normal.
    static func log(_ value: Self) -> Self {
        var exponent = value.head.exponent
        if value.head.significand > 1.414 { exponent += 1 }
        let scale = Double(sign: .plus, exponent: -exponent, significand: 1)
        let reduced = DoubleDouble(value.head * scale, value.tail * scale)
        let ratio = (reduced - DoubleDouble(1)) / (reduced + DoubleDouble(1))
        let square = ratio * ratio
        var series = reciprocalsOfOddNumbers[reciprocalsOfOddNumbers.count - 1]
        for index in (0..<(reciprocalsOfOddNumbers.count - 1)).reversed() {
            series = series * square + reciprocalsOfOddNumbers[index]
        }
        let logarithm = ratio * series
        let ofTwo = DoubleDouble(0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56)
        return DoubleDouble(2 * logarithm.head, 2 * logarithm.tail) + ofTwo * DoubleDouble(Double(exponent))
    }

    /// 1, 1/3, 1/5, ...: enough of them for `0.172^(2 count) < 1e-31`.
    private static let reciprocalsOfOddNumbers = (0..<20).map { DoubleDouble(1) / DoubleDouble(Double(2 * $0 + 1)) }
}
