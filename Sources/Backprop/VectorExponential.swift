/// The exponential of eight numbers that are not positive, as a softmax needs it.
///
/// `exp(x) = 2^n exp(r)` with `|r| <= ln 2 / 2`; n is found by adding a number so large that its last bit is 1, the
/// polynomial is that of the Cephes library's `expf` (Moshier). Within 2 ulps of the exact value down to -87; 0 below, where
/// it would be subnormal or nearly so. NaN stays NaN.
///
/// - Parameter x: at most 0, or NaN; minus infinity too.
/// - Reference: Foundation's `exp` in Double.
@inline(__always)
func exponentialOfNonPositive(_ x: SIMD8<Float>) -> SIMD8<Float> {
    // All ones where x is below -87. Integers, since the compiler takes a comparison of vectors apart into one per lane.
    let magnitude = unsafeBitCast(x, to: SIMD8<Int32>.self) & 0x7FFF_FFFF
    let isTiny = (SIMD8(repeating: Int32(bitPattern: (87 as Float).bitPattern)) &- magnitude) &>> 31
    let clamped = unsafeBitCast(unsafeBitCast(x, to: SIMD8<Int32>.self) & ~isTiny, to: SIMD8<Float>.self)
    let large = SIMD8<Float>(repeating: 12_582_912)
    let shifted = clamped * 1.442_695_04 + large
    let n = shifted - large
    // ln 2 in two parts, the first with few bits, so that n times it is exact.
    let r = (clamped - n * 0.693_359_375) - n * -2.121_944_4e-4
    var p = r * 1.987_569_15e-4 + 1.398_199_950_7e-3
    p = p * r + 8.333_451_907_3e-3
    p = p * r + 4.166_579_589_4e-2
    p = p * r + 1.666_666_545_9e-1
    p = p * r + 5.000_000_120_1e-1
    p = p * (r * r) + r + 1
    // The last bits of `shifted` are n, which the exponent field takes over.
    let power = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &<< 23
    let scaled = (unsafeBitCast(p, to: SIMD8<Int32>.self) &+ power) & ~isTiny
    return unsafeBitCast(scaled, to: SIMD8<Float>.self).replacing(with: x, where: x .!= x)
}
