/// A small seeded generator: 64 bits of state, one addition and one mix a number.
///
/// Everything random in the toolkit draws from a generator that the caller seeds, so that a seed in a recipe is all it
/// takes to repeat a run. Passes the usual statistical batteries; it is **not** for secrets.
///
/// - Reference: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators"; the constants are those
///   of Vigna's public `splitmix64.c`.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    /// The odd number nearest to 2^64 divided by the golden ratio: what the state grows by.
    @usableFromInline static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    @usableFromInline var state: UInt64

    /// Creates a generator; equal seeds give equal sequences.
    @inlinable
    public init(seed: UInt64) {
        state = seed
    }

    /// The next 64 uniform bits.
    @inlinable
    public mutating func next() -> UInt64 {
        state &+= Self.increment
        return Self.mix(state)
    }

    /// 64 bits that depend on a seed and an identity and on nothing else: a random number for one row, sample or group
    /// that stays the same whatever else is drawn, in whatever order.
    @inlinable
    public static func hash(seed: UInt64, id: UInt64) -> UInt64 {
        mix(mix(seed &+ increment) &+ (id &+ 1) &* increment)
    }

    /// The finaliser: a bijection of 64 bits in which every input bit changes about half of the output's.
    @usableFromInline
    static func mix(_ value: UInt64) -> UInt64 {
        var bits = value
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
