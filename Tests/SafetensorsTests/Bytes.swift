import Foundation

/// A safetensors file made by hand, so that it can lie.
///
/// - Parameters:
///   - header: the JSON text, as it stands.
///   - length: what the first eight bytes claim; the header's true length when nil.
///   - dataCount: how many bytes follow; they count up from 0.
func safetensorsBytes(header: String, length: UInt64? = nil, dataCount: Int = 0) -> Data {
    var data = withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { Data($0) }
    data.append(contentsOf: header.utf8)
    data.append(contentsOf: (0..<dataCount).map { UInt8(truncatingIfNeeded: $0) })
    return data
}

/// Numbers that depend on a seed only, for tests that want many.
struct TestGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        // xorshift64*
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
