/// Φ, the normal distribution function, of eight numbers.
///
/// `Φ(-|x|) = t/2 exp(-z² + P(t))` with `z = |x| / √2`, `t = 1 / (1 + z / 2)` and a polynomial P. In Float32 the error is
/// below 2e-7; that of the lower tail, relative to it, grows with z² and is below 1e-5 down to -6. NaN stays NaN.
///
/// - Reference: Press, Teukolsky, Vetterling and Flannery (1992), "Numerical recipes in C", 2nd ed., section 6.2 (the
///   coefficients); tested against Foundation's `erfc` in Double.
@inline(__always)
func normalDistribution(_ x: SIMD8<Float>) -> SIMD8<Float> {
    let bits = unsafeBitCast(x, to: SIMD8<Int32>.self)
    let z = unsafeBitCast(bits & 0x7FFF_FFFF, to: SIMD8<Float>.self) * Float(0.5).squareRoot()
    let t = 1 / (1 + 0.5 * z)
    var p = t * 0.170_872_77 - 0.822_152_23
    p = p * t + 1.488_515_87
    p = p * t - 1.135_203_98
    p = p * t + 0.278_868_07
    p = p * t - 0.186_288_06
    p = p * t + 0.096_784_18
    p = p * t + 0.374_091_96
    p = p * t + 1.000_023_68
    p = p * t - 1.265_512_23
    let lower = 0.5 * t * exponentialOfNonPositive(p - z * z)
    // Integers select, since the compiler takes a choice between vectors apart into one per lane.
    let isNegative = bits &>> 31
    let selected =
        (unsafeBitCast(lower, to: SIMD8<Int32>.self) & isNegative)
        | (unsafeBitCast(1 - lower, to: SIMD8<Int32>.self) & ~isNegative)
    return unsafeBitCast(selected, to: SIMD8<Float>.self)
}
