/// A tensor of a mapped file: its description, and its bytes where they are.
///
/// The view keeps the file mapped. Nothing is copied until it is asked for.
public struct TensorView: Sendable {
    /// Name, element type and shape.
    public let description: TensorDescription
    private let file: MappedFile
    private let range: Range<Int>

    init(_ entry: SafetensorsHeader.Entry, file: MappedFile) {
        description = entry.description
        range = entry.bytes
        self.file = file
    }

    /// The name.
    public var name: String { description.name }
    /// The type of the elements.
    public var elementType: ElementType { description.elementType }
    /// The extents, outermost first.
    public var shape: [Int] { description.shape }
    /// How many elements there are.
    public var elementCount: Int { description.elementCount }
    /// The file that holds the tensor, as the user named it.
    public var path: String { file.path }

    /// Calls a closure with the tensor's bytes, row-major and little-endian; the pointer must not leave the closure.
    ///
    /// The address need not be a multiple of the element's size: a header without padding moves all data. Load with
    /// `loadUnaligned`, as ``HalfPrecision`` does.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
    }
}

extension TensorView {
    /// All elements of a floating-point tensor as Float32, row-major.
    ///
    /// - Throws: `mismatch` for an integer tensor.
    /// - Complexity: O(elements), which are copied.
    public func floats() throws(InputError) -> [Float] {
        guard elementType.isFloatingPoint else { throw wrongType(expected: "F32, F16 or BF16") }
        return [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            count = elementCount
            if let start = buffer.baseAddress { copyFloats(0..<count, into: start) }
        }
    }

    /// Copies some elements of a floating-point tensor as Float32.
    ///
    /// - Parameters:
    ///   - elements: in row-major order, inside the tensor.
    ///   - target: room for as many.
    /// - Complexity: O(elements).
    public func copyFloats(_ elements: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        precondition(elementType.isFloatingPoint, "a floating-point tensor")
        precondition(elements.lowerBound >= 0 && elements.upperBound <= elementCount, "elements of the tensor")
        if elements.isEmpty { return }
        withUnsafeBytes { bytes in
            HalfPrecision.widen(
                bytes.baseAddress! + elements.lowerBound * elementType.byteCount, elementType: elementType,
                count: elements.count, into: target)
        }
    }

    /// The index, row by row, of the first infinity or NaN of a floating-point tensor; nil when all are finite.
    ///
    /// - Complexity: O(elements), one pass over the mapped bytes.
    public func firstNonFinite() -> Int? {
        withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return nil }
            return HalfPrecision.firstNonFinite(start, elementType: elementType, count: elementCount)
        }
    }

    /// The same for some rows of a matrix; the index is still that in the whole tensor.
    public func firstNonFinite(rows: Range<Int>) -> Int? {
        let size = elementCount / max(shape.first ?? 1, 1)
        precondition(rows.lowerBound >= 0 && rows.upperBound * size <= elementCount, "rows of the tensor")
        return withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, !rows.isEmpty else { return nil }
            return HalfPrecision.firstNonFinite(
                start + rows.lowerBound * size * elementType.byteCount, elementType: elementType,
                count: rows.count * size
            ).map { rows.lowerBound * size + $0 }
        }
    }

    /// All elements of an integer tensor, row-major.
    ///
    /// - Throws: `mismatch` for a floating-point tensor, `outOfRange` for an I64 that an Int32 cannot hold.
    /// - Complexity: O(elements), which are copied.
    public func integers() throws(InputError) -> [Int32] {
        var tooLarge: (index: Int, value: Int64)?
        let values: [Int32]
        switch elementType {
        case .int32: values = elements(of: Int32.self) { Int32(littleEndian: $0) }
        case .uint8: values = elements(of: UInt8.self) { Int32($0) }
        case .int64:
            var index = 0
            values = elements(of: Int64.self) { element in
                let value = Int64(littleEndian: element)
                if Int32(exactly: value) == nil, tooLarge == nil { tooLarge = (index, value) }
                index += 1
                return Int32(truncatingIfNeeded: value)
            }
        case .float32, .float16, .bfloat16: throw wrongType(expected: "I32, I64 or U8")
        }
        if let tooLarge {
            throw InputError(
                .outOfRange, file: path, item: "\(name)[\(tooLarge.index)]", seen: "\(tooLarge.value)",
                expected: "a number that 32 bits can hold", advice: "Number the classes or groups from 0.")
        }
        return values
    }

    /// The elements of some rows of a vector of I32, or of I64 that are known to fit 32 bits.
    public func integers(rows: Range<Int>) -> [Int32] {
        precondition(elementType == .int32 || elementType == .int64, "a tensor of integers")
        precondition(shape.count == 1 && rows.lowerBound >= 0 && rows.upperBound <= elementCount, "rows of a vector")
        return withUnsafeBytes { bytes in
            rows.map { row in
                elementType == .int32
                    ? Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * row, as: Int32.self))
                    : Int32(
                        truncatingIfNeeded: Int64(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * row, as: Int64.self)))
            }
        }
    }

    /// All elements of a U8 tensor.
    ///
    /// - Throws: `mismatch` for any other type.
    /// - Complexity: O(elements), which are copied.
    public func unsignedBytes() throws(InputError) -> [UInt8] {
        guard elementType == .uint8 else { throw wrongType(expected: "U8") }
        return withUnsafeBytes { Array($0) }
    }

    private func elements<Element: BitwiseCopyable>(
        of type: Element.Type, _ convert: (Element) -> Int32
    ) -> [Int32] {
        withUnsafeBytes { bytes in
            (0..<elementCount).map {
                convert(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: type))
            }
        }
    }

    private func wrongType(expected: String) -> InputError {
        InputError(
            .mismatch, file: path, item: name, seen: "elements of type \(elementType.rawValue)", expected: expected,
            advice: "Convert the tensor to that type.")
    }
}
