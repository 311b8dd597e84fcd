import CKernels

/// Conversion between Float32 and the two 16-bit formats, a block at a time.
///
/// Swift's `Float16` is a library call for each number on x86 without F16C, which the package may not switch on. Widening,
/// which every pass over features does, is one of the `CKernels`, and exact. Narrowing goes through branch-free integer
/// arithmetic, in loops plain enough for the compiler to turn into vector code; it rounds to nearest, ties to even; what is
/// too large becomes infinite. A NaN stays one both ways, quiet, with what fits of its payload.
///
/// - Reference: Giesen, "float->half variants" (public domain), the branch-free forms.
public enum HalfPrecision {}

// MARK: - Widening

extension HalfPrecision {
    /// Converts `count` numbers of a floating-point type at any address to Float32; F32 is copied.
    ///
    /// - Complexity: O(count).
    /// - Reference: Swift's `Float(Float16)`, in the tests.
    public static func widen(
        _ source: UnsafeRawPointer, elementType: ElementType, count: Int, into target: UnsafeMutablePointer<Float>
    ) {
        kernels.widen(source, elementType.kernelElement, count, target)
    }

    private static let kernels = beem_kernels_best().pointee
}

extension ElementType {
    /// The name that `CKernels` have for a floating-point type.
    package var kernelElement: beem_element {
        switch self {
        case .float32: beem_float32
        case .float16: beem_float16
        case .bfloat16: beem_bfloat16
        case .int32, .int64, .uint8: preconditionFailure("a floating-point type")
        }
    }
}

// MARK: - Narrowing

extension HalfPrecision {
    /// Rounds `count` Float32 numbers to F16. Complexity: O(count).
    public static func narrowToFloat16(
        _ source: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<UInt16>
    ) {
        for index in 0..<count {
            target[index] = UInt16(truncatingIfNeeded: narrowedToFloat16(source[index].bitPattern))
        }
    }

    /// Rounds `count` Float32 numbers to BF16. Complexity: O(count).
    public static func narrowToBFloat16(
        _ source: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<UInt16>
    ) {
        for index in 0..<count {
            target[index] = UInt16(truncatingIfNeeded: narrowedToBFloat16(source[index].bitPattern))
        }
    }

    /// Rounds `count` Float32 numbers to F16 or BF16.
    static func narrow(
        _ source: UnsafePointer<Float>, elementType: ElementType, count: Int, into target: UnsafeMutablePointer<UInt16>
    ) {
        switch elementType {
        case .float16: narrowToFloat16(source, count: count, into: target)
        case .bfloat16: narrowToBFloat16(source, count: count, into: target)
        case .float32, .int32, .int64, .uint8: preconditionFailure("a 16-bit floating-point type")
        }
    }

    /// The index of the first finite number whose narrowed form is infinite; nil when there is none.
    static func firstOverflow(
        _ source: UnsafePointer<Float>, narrowed: UnsafePointer<UInt16>, _ elementType: ElementType, count: Int
    ) -> Int? {
        let infinity: UInt16 = elementType == .float16 ? 0x7C00 : 0x7F80
        return (0..<count).first { narrowed[$0] & 0x7FFF == infinity && source[$0].isFinite }
    }

    /// The bits of the F16 nearest to a Float32.
    @inline(__always)
    static func narrowedToFloat16(_ bits: UInt32) -> UInt32 {
        let sign = (bits & 0x8000_0000) &>> 16
        let magnitude = bits & 0x7FFF_FFFF
        // Normal: change the bias and add just below half a unit, plus the last bit kept, so that ties go to even.
        let odd = (magnitude &>> 13) & 1
        let normal = (magnitude &- (112 &<< 23) &+ 0xFFF &+ odd) &>> 13
        // Below 2^-14: adding 0.5 lets the adder itself round to a multiple of 2^-24, ties to even.
        let small = (Float(bitPattern: magnitude) + 0.5).bitPattern &- (126 &<< 23)
        let nan = 0x7E00 | (magnitude &>> 13) & 0x3FF
        let finite = magnitude < (113 &<< 23) ? small : normal
        let infinite: UInt32 = magnitude > (255 &<< 23) ? nan : 0x7C00
        return (magnitude >= (143 &<< 23) ? infinite : finite) | sign
    }

    /// The bits of the BF16 nearest to a Float32.
    @inline(__always)
    static func narrowedToBFloat16(_ bits: UInt32) -> UInt32 {
        let odd = (bits &>> 16) & 1
        let rounded = (bits &+ 0x7FFF &+ odd) &>> 16
        return (bits & 0x7FFF_FFFF) > (255 &<< 23) ? bits &>> 16 | 0x40 : rounded
    }
}

// MARK: - Finding what is not finite

extension HalfPrecision {
    /// The index of the first infinity or NaN among `count` numbers of a floating-point type at any address; nil when
    /// all are finite. Complexity: O(count), one pass at about the speed of memory.
    public static func firstNonFinite(_ source: UnsafeRawPointer, elementType: ElementType, count: Int) -> Int? {
        let element = elementType.kernelElement
        for start in stride(from: 0, to: count, by: block) {
            let own = source + start * elementType.byteCount
            let size = min(block, count - start)
            guard kernels.has_non_finite(own, element, size) != 0 else { continue }
            return (0..<size).first { kernels.has_non_finite(own + $0 * elementType.byteCount, element, 1) != 0 }
                .map { start + $0 }
        }
        return nil
    }

    private static let block = 4096
}
