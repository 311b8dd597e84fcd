/// A sample changes its exit when a falling threshold meets one of its scores.
///
/// Two words, so that sorting moves little: a key to sort by, and the change packed into the other.
struct ThresholdEvent {
    /// The score as an integer that rises as scores fall; equal scores have equal keys.
    let key: UInt64
    /// From the lowest bits up, 16 each: `from`, `to`, `harmful`, `helpful`.
    private let change: UInt64

    /// The largest number of exits whose indices fit.
    static let maximumExits = Int(Int16.max)

    /// Creates an event.
    ///
    /// - Parameters:
    ///   - score: not NaN.
    ///   - from: the exit the sample takes above this score.
    ///   - to: the exit it takes from here down to its next event.
    ///   - harmful: the change of harmful flips, -1...1.
    ///   - helpful: the change of helpful flips, -1...1.
    @inline(__always)
    init(score: Double, from: Int, to: Int, harmful: Int, helpful: Int) {
        key = Self.key(of: score)
        change =
            UInt64(UInt16(truncatingIfNeeded: from)) | UInt64(UInt16(truncatingIfNeeded: to)) << 16
            | UInt64(UInt16(truncatingIfNeeded: harmful)) << 32 | UInt64(UInt16(truncatingIfNeeded: helpful)) << 48
    }

    /// The exit the sample takes above the score.
    @inline(__always) var from: Int { Int(UInt16(truncatingIfNeeded: change)) }
    /// The exit it takes from the score down.
    @inline(__always) var to: Int { Int(UInt16(truncatingIfNeeded: change >> 16)) }
    /// Change of harmful flips, -1...1.
    @inline(__always) var harmful: Int { Int(Int16(truncatingIfNeeded: change >> 32)) }
    /// Change of helpful flips, -1...1.
    @inline(__always) var helpful: Int { Int(Int16(truncatingIfNeeded: change >> 48)) }

    /// The key of a score that is not NaN.
    @inline(__always)
    static func key(of score: Double) -> UInt64 {
        // The sum makes -0.0 the 0.0 it equals.
        turned((score + 0).bitPattern)
    }

    /// The score of a key; 0.0 for both zeros.
    @inline(__always)
    static func score(of key: UInt64) -> Double {
        Double(bitPattern: turned(key))
    }

    /// Bit patterns of numbers rise with them below the sign bit if positive, and fall if negative. Turning the
    /// positive ones makes all fall, positive before negative; doing it twice changes nothing.
    @inline(__always)
    private static func turned(_ bits: UInt64) -> UInt64 {
        bits ^ (UInt64(bitPattern: ~(Int64(bitPattern: bits) >> 63)) >> 1)
    }
}
