/// The type of a tensor's elements, by the name it has in a safetensors header.
public enum ElementType: String, CaseIterable, Sendable {
    /// IEEE 754 binary32.
    case float32 = "F32"
    /// IEEE 754 binary16.
    case float16 = "F16"
    /// The upper half of a binary32.
    case bfloat16 = "BF16"
    /// Signed, 32 bits.
    case int32 = "I32"
    /// Signed, 64 bits.
    case int64 = "I64"
    /// Unsigned, 8 bits.
    case uint8 = "U8"

    /// The size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .int64: 8
        case .float32, .int32: 4
        case .float16, .bfloat16: 2
        case .uint8: 1
        }
    }

    /// Whether the elements are floating-point numbers.
    public var isFloatingPoint: Bool {
        switch self {
        case .float32, .float16, .bfloat16: true
        case .int32, .int64, .uint8: false
        }
    }

    /// Types of the format that this toolkit has no use for; a file that holds one is told apart from a damaged file.
    static let unserved: Set<String> = [
        "BOOL", "F4", "F6_E2M3", "F6_E3M2", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "I16",
        "U16", "U32", "F64", "C64", "U64",
    ]
}
