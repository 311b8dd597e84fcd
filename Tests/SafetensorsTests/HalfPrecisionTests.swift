import Testing

@testable import Safetensors

@Suite("16-bit floating-point numbers")
struct HalfPrecisionTests {
    private func widened(_ halves: [UInt16], _ type: ElementType) -> [Float] {
        [Float](unsafeUninitializedCapacity: halves.count) { buffer, count in
            halves.withUnsafeBytes {
                HalfPrecision.widen(
                    $0.baseAddress!, elementType: type, count: halves.count, into: buffer.baseAddress!)
            }
            count = halves.count
        }
    }

    private func narrowed(_ values: [Float], _ type: ElementType) -> [UInt16] {
        [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
            HalfPrecision.narrow(values, elementType: type, count: values.count, into: buffer.baseAddress!)
            count = values.count
        }
    }

    private static let allPatterns = Array(UInt16.min...UInt16.max)

    /// Bit patterns that rounding finds hard: random ones, and the neighbours of every F16 and of every midpoint.
    private static let hardFloats: [Float] = {
        var generator = TestGenerator(state: 3)
        var values = (0..<300_000).map { _ in Float(bitPattern: .random(in: .min ... .max, using: &generator)) }
        values += (0..<300_000).map { _ in Float.random(in: -1e-4...1e-4, using: &generator) }
        for pattern in allPatterns where pattern & 0x7C00 != 0x7C00 {
            let exact = Float(Float16(bitPattern: pattern))
            let next = Float(Float16(bitPattern: pattern &+ 1))
            let middle = next.isFinite ? (exact + next) / 2 : exact * (1 + 0x1p-12)
            values += [exact, middle, middle.nextUp, middle.nextDown]
        }
        return values + [0, -0.0, .infinity, -.infinity, 65519.996, 65520, 3.4e38, .leastNonzeroMagnitude]
    }()

    #if arch(x86_64) || arch(arm64)
        @Test("widens all 65,536 F16 patterns exactly")
        func widenFloat16() {
            for (pattern, value) in zip(Self.allPatterns, widened(Self.allPatterns, .float16)) {
                let reference = Float(Float16(bitPattern: pattern))
                if reference.isNaN {
                    // The sign and the payload are kept; a signalling NaN may be made quiet.
                    let expected = UInt32(pattern & 0x8000) << 16 | 0x7F80_0000 | UInt32(pattern & 0x3FF) << 13
                    #expect(value.bitPattern | 0x40_0000 == expected | 0x40_0000)
                } else {
                    #expect(value.bitPattern == reference.bitPattern)
                }
            }
        }

        @Test("narrows to F16 as the language does, ties to even")
        func narrowFloat16() {
            let wrong = zip(Self.hardFloats, narrowed(Self.hardFloats, .float16)).first { value, half in
                value.isNaN ? half & 0x7C00 != 0x7C00 || half & 0x200 == 0 : half != Float16(value).bitPattern
            }
            #expect(wrong == nil)
        }
    #endif

    @Test("narrows what it widened back to the same F16 and BF16")
    func roundTrip() {
        for type in [ElementType.float16, .bfloat16] {
            let exponent: UInt16 = type == .float16 ? 0x7C00 : 0x7F80
            let back = narrowed(widened(Self.allPatterns, type), type)
            for (pattern, result) in zip(Self.allPatterns, back) {
                let isNaN = pattern & exponent == exponent && pattern & ~(exponent | 0x8000) != 0
                #expect(result == (isNaN ? pattern | quietBit(type) : pattern))
            }
        }
    }

    /// The highest bit of the mantissa is what makes a NaN quiet.
    private func quietBit(_ type: ElementType) -> UInt16 { type == .float16 ? 0x200 : 0x40 }

    @Test("narrows to BF16 by rounding the discarded half, ties to even")
    func narrowBFloat16() {
        for (value, half) in zip(Self.hardFloats, narrowed(Self.hardFloats, .bfloat16)) {
            if value.isNaN {
                #expect(half & 0x7FFF > 0x7F80)
                continue
            }
            // Reference: the two neighbours and the distances to them, in Double.
            let below = value.bitPattern & 0xFFFF_0000
            let rest = value.bitPattern & 0xFFFF
            let isUp = rest > 0x8000 || (rest == 0x8000 && below & 0x1_0000 != 0)
            #expect(half == UInt16((below &+ (isUp ? 0x1_0000 : 0)) >> 16))
        }
    }

    @Test("gives the same for any count and at any address", arguments: 0...19)
    func countsAndAddresses(count: Int) {
        let halves = (0..<count).map { UInt16(0x3C00 + 37 * $0) }
        let expected = widened(halves + [0], .float16).dropLast()
        for shift in 0..<3 {
            var bytes = [UInt8](repeating: 0xAA, count: 2 * count + 8)
            for (index, half) in halves.enumerated() {
                bytes[shift + 2 * index] = UInt8(half & 0xFF)
                bytes[shift + 2 * index + 1] = UInt8(half >> 8)
            }
            var target = [Float](repeating: -7, count: count + 1)
            bytes.withUnsafeBytes {
                HalfPrecision.widen(
                    $0.baseAddress! + shift, elementType: .float16, count: count, into: &target)
            }
            #expect(target == expected + [-7])
        }
    }

    @Test(
        "finds the first number that is not finite, wherever it is",
        arguments: [ElementType.float16, .bfloat16, .float32])
    func nonFinite(type: ElementType) {
        let count = 2100
        let bad: [Float] = [.infinity, -.infinity, .nan]
        let large: Float = type == .float16 ? 65504 : 3e38
        let clean = (0..<count).map { $0.isMultiple(of: 2) ? large : -large }
        func first(_ values: [Float]) -> Int? {
            if type == .float32 {
                return values.withUnsafeBytes {
                    HalfPrecision.firstNonFinite($0.baseAddress!, elementType: type, count: values.count)
                }
            }
            return narrowed(values, type).withUnsafeBytes {
                HalfPrecision.firstNonFinite($0.baseAddress!, elementType: type, count: values.count)
            }
        }
        #expect(first(clean) == nil)
        for (index, position) in [0, 7, 15, 16, 1023, 1024, 2047, 2048, 2095, 2096, 2099].enumerated() {
            var values = clean
            values[position] = bad[index % 3]
            values[count - 1] = .nan
            #expect(first(values) == position)
        }
    }
}
