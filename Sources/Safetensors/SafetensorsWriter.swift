/// Writes a safetensors file tensor by tensor, in blocks, with memory that does not grow with the file.
///
/// All tensors are declared first, since the header comes first; their data follows in the order of declaration. Equal
/// input gives equal bytes: the header's keys are sorted. The file appears under its name when ``finish()`` returns,
/// and not before; see ``AtomicFile``.
///
///     var writer = try SafetensorsWriter(
///         creating: "heads.safetensors",
///         tensors: [TensorDescription(name: "exit.0.bias", elementType: .float32, shape: [2])])
///     try writer.append([0.25, -0.25] as [Float], to: "exit.0.bias")
///     try writer.finish()
public struct SafetensorsWriter: ~Copyable {
    private let tensors: [TensorDescription]
    private var file: AtomicFile
    private var current = 0
    private var written = 0
    private var block: [UInt16] = []

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: where the file will stand.
    ///   - tensors: in the order in which their data will come, names unique, none called `__metadata__`. Each starts at
    ///     a multiple of its element's size, so the wider types come first; ``TensorDescription/wideFirst(_:)`` sorts.
    ///   - metadata: texts to store in the header.
    /// - Throws: `unwritable` when the place cannot be written to.
    public init(
        creating path: String, tensors: [TensorDescription], metadata: [String: String] = [:]
    ) throws(InputError) {
        precondition(Set(tensors.map(\.name)).count == tensors.count, "tensor names are unique")
        var offset = 0
        for tensor in tensors {
            precondition(tensor.name != SafetensorsHeader.metadataName, "a name that the format keeps for itself")
            precondition(offset % tensor.elementType.byteCount == 0, "wider element types come first")
            offset += tensor.byteCount
        }
        let header = SafetensorsHeader.bytes(tensors: tensors, metadata: metadata)
        precondition(header.count <= SafetensorsHeader.longest, "a header of a length that readers accept")
        var file = try AtomicFile(creating: path)
        try header.withUnsafeBufferPointer { buffer throws(InputError) in
            try file.write(UnsafeRawBufferPointer(buffer))
        }
        self.file = file
        self.tensors = tensors
    }

    /// Adds bytes to a tensor: the whole of it, or its next block.
    ///
    /// - Parameters:
    ///   - bytes: row-major and little-endian; not past the tensor's end.
    ///   - name: the first declared tensor that is not complete.
    /// - Throws: `unwritable`, for example when the disk is full.
    public mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(InputError) {
        skipCompleteTensors()
        if bytes.isEmpty { return }
        checkTurn(of: name)
        precondition(written + bytes.count <= tensors[current].byteCount, "no more bytes than declared")
        try file.write(bytes)
        written += bytes.count
    }

    /// Adds numbers to a tensor, in its own type: F16 and BF16 are rounded to nearest, ties to even.
    ///
    /// - Parameters:
    ///   - values: row-major; the whole tensor, or its next block.
    ///   - name: the first declared tensor that is not complete; of a floating-point type.
    /// - Throws: `unwritable`; `outOfRange` when a finite number is too large for the tensor's type.
    public mutating func append(_ values: UnsafeBufferPointer<Float>, to name: String) throws(InputError) {
        skipCompleteTensors()
        guard let start = values.baseAddress, !values.isEmpty else { return }
        checkTurn(of: name)
        let type = tensors[current].elementType
        precondition(type.isFloatingPoint, "floats go into a floating-point tensor")
        if type == .float32 { return try append(UnsafeRawBufferPointer(values), to: name) }
        // A fixed block, so that a caller with a large tensor does not make this grow.
        let blockCount = 1 << 14
        if block.isEmpty { block = Array(repeating: 0, count: blockCount) }
        for first in stride(from: 0, to: values.count, by: blockCount) {
            let count = min(blockCount, values.count - first)
            let overflow = block.withUnsafeMutableBufferPointer { buffer in
                HalfPrecision.narrow(start + first, elementType: type, count: count, into: buffer.baseAddress!)
                return HalfPrecision.firstOverflow(start + first, narrowed: buffer.baseAddress!, type, count: count)
            }
            if let overflow {
                let index = written / type.byteCount + overflow
                throw InputError(
                    .outOfRange, file: file.path, item: tensors[current].place(ofElement: index),
                    seen: "\(values[first + overflow])", expected: "a number that \(type.rawValue) can hold",
                    advice: "Scale the values, or store them as F32.")
            }
            let filled = block
            try filled.withUnsafeBufferPointer { buffer throws(InputError) in
                try append(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[..<count])), to: name)
            }
        }
    }

    /// Adds numbers to a tensor, in its own type; see the form with a buffer.
    public mutating func append(_ values: [Float], to name: String) throws(InputError) {
        try values.withUnsafeBufferPointer { buffer throws(InputError) in try append(buffer, to: name) }
    }

    /// Adds integers to an I32 or I64 tensor: the whole of it, or its next block.
    public mutating func append(_ values: [Int32], to name: String) throws(InputError) {
        skipCompleteTensors()
        if values.isEmpty { return }
        checkTurn(of: name)
        switch tensors[current].elementType {
        case .int32: try append(bytesOf: values.map(\.littleEndian), to: name)
        case .int64: try append(bytesOf: values.map { Int64($0).littleEndian }, to: name)
        default: preconditionFailure("Int32 goes into an I32 or I64 tensor")
        }
    }

    /// Adds bytes to a U8 tensor: the whole of it, or its next block.
    public mutating func append(_ values: [UInt8], to name: String) throws(InputError) {
        try append(bytesOf: values, to: name)
    }

    /// Brings the file to the disk and gives it its name; every tensor is complete.
    ///
    /// - Throws: `unwritable`; what was there before is then untouched.
    public consuming func finish() throws(InputError) {
        skipCompleteTensors()
        precondition(current == tensors.count, "every declared tensor is written completely")
        try file.commit()
    }

    private mutating func append<Element: BitwiseCopyable>(
        bytesOf values: [Element], to name: String
    ) throws(InputError) {
        try values.withUnsafeBufferPointer { buffer throws(InputError) in
            try append(UnsafeRawBufferPointer(buffer), to: name)
        }
    }

    private func checkTurn(of name: String) {
        precondition(
            current < tensors.count && tensors[current].name == name, "tensors come in the order of declaration")
    }

    /// Goes on to the first tensor that still lacks bytes; tensors without elements are complete from the start.
    private mutating func skipCompleteTensors() {
        while current < tensors.count, written == tensors[current].byteCount {
            current += 1
            written = 0
        }
    }
}

extension TensorDescription {
    /// The same tensors with the wider element types first, otherwise in the order given: an order in which each starts
    /// at a multiple of its element's size.
    public static func wideFirst(_ tensors: [TensorDescription]) -> [TensorDescription] {
        [8, 4, 2, 1].flatMap { size in tensors.filter { $0.elementType.byteCount == size } }
    }
}
