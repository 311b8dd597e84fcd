/// What a header says of a tensor, apart from where its bytes are.
public struct TensorDescription: Equatable, Sendable {
    /// The name, unique in its file.
    public var name: String
    /// The type of the elements.
    public var elementType: ElementType
    /// The extents, outermost first; empty for a scalar.
    public var shape: [Int]

    /// Creates a description; extents are not negative, and the size in bytes fits an `Int`.
    public init(name: String, elementType: ElementType, shape: [Int]) {
        precondition(
            Self.byteCount(shape: shape, elementType: elementType) != nil, "extents of a size that fits in memory")
        self.name = name
        self.elementType = elementType
        self.shape = shape
    }

    /// How many elements there are: the product of the extents, 1 for a scalar.
    public var elementCount: Int { shape.reduce(1, *) }

    /// The size in bytes.
    public var byteCount: Int { elementCount * elementType.byteCount }

    /// The name with the place of an element in it, for messages: `features.0[17, 5]`.
    public func place(ofElement index: Int) -> String {
        var rest = index
        var indices: [Int] = []
        for extent in shape.reversed() {
            indices.append(rest % extent)
            rest /= extent
        }
        return indices.isEmpty ? name : "\(name)\(Array(indices.reversed()))"
    }

    /// The size in bytes of a tensor; nil when an extent is negative or the product overflows.
    static func byteCount(shape: [Int], elementType: ElementType) -> Int? {
        var bytes = elementType.byteCount
        for extent in shape {
            guard extent >= 0 else { return nil }
            let (product, overflows) = bytes.multipliedReportingOverflow(by: extent)
            if overflows { return nil }
            bytes = product
        }
        return bytes
    }
}

extension TensorDescription: CustomStringConvertible {
    /// For example `features.0 F16 [5376, 128]`.
    public var description: String { "\(name) \(elementType.rawValue) \(shape)" }
}
