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
        let width = elementsPerRow
        for segment in segments[segmentIndex(ofRow: elements.lowerBound / width)...] {
            let held = (segment.rows.lowerBound * width)..<(segment.rows.upperBound * width)
            let part = elements.clamped(to: held)
            if part.isEmpty { return }
            HalfPrecision.widen(
                segment.bytes.baseAddress! + (part.lowerBound - held.lowerBound) * elementType.byteCount,
                elementType: elementType, count: part.count, into: target + (part.lowerBound - elements.lowerBound))
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
            let place = location(ofElement: tooLarge.index)
            throw InputError(
                .outOfRange, file: place.file, item: "\(name)[\(place.index)]\(place.remark)",
                seen: "\(tooLarge.value)", expected: "a number that 32 bits can hold",
                advice: "Number the classes or groups from 0.")
        }
        return values
    }

    /// The elements of some rows of a vector of I32, or of I64 that are known to fit 32 bits.
    public func integers(rows: Range<Int>) -> [Int32] {
        precondition(shape.count == 1, "a vector")
        switch elementType {
        case .int32: return elements(of: Int32.self, rows: rows) { Int32(littleEndian: $0) }
        case .int64:
            return elements(of: Int64.self, rows: rows) { Int32(truncatingIfNeeded: Int64(littleEndian: $0)) }
        default: preconditionFailure("a tensor of integers")
        }
    }

    /// All elements of a U8 tensor.
    ///
    /// - Throws: `mismatch` for any other type.
    /// - Complexity: O(elements), which are copied.
    public func unsignedBytes() throws(InputError) -> [UInt8] {
        guard elementType == .uint8 else { throw wrongType(expected: "U8") }
        var values: [UInt8] = []
        values.reserveCapacity(elementCount)
        forEachPiece { values.append(contentsOf: $0) }
        return values
    }

    private func elements<Element: BitwiseCopyable>(
        of type: Element.Type, rows: Range<Int>? = nil, _ convert: (Element) -> Int32
    ) -> [Int32] {
        var values: [Int32] = []
        values.reserveCapacity((rows?.count ?? rowCount) * elementsPerRow)
        forEachPiece(ofRows: rows) { bytes in
            for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Element>.size) {
                values.append(convert(bytes.loadUnaligned(fromByteOffset: offset, as: type)))
            }
        }
        return values
    }

    private func wrongType(expected: String) -> InputError {
        InputError(
            .mismatch, file: path, item: name, seen: "elements of type \(elementType.rawValue)", expected: expected,
            advice: "Convert the tensor to that type.")
    }
}
