import Safetensors

/// One number for every sample, in memory or where it is in the file.
struct SampleColumn<Number: BitwiseCopyable & Sendable>: Sendable {
    /// Reads the numbers of neighbouring samples.
    private let read: @Sendable (Range<Int>) -> [Number]

    /// Numbers in memory.
    init(_ numbers: [Number]) { read = { Array(numbers[$0]) } }

    /// Numbers in a file.
    ///
    /// - Parameter read: copies those of neighbouring samples.
    init(reading read: @escaping @Sendable (Range<Int>) -> [Number]) { self.read = read }

    /// Those of some samples, in the order given: of a part of the file, when they lie in a part.
    ///
    /// - Complexity: O(samples from the first to the last of `rows`).
    func selecting(_ rows: [Int]) -> [Number] {
        guard let first = rows.min(), let last = rows.max() else { return [] }
        let numbers = read(first..<(last + 1))
        return numbers.withUnsafeBufferPointer { numbers in rows.map { numbers[$0 - first] } }
    }

    /// Those of neighbouring samples.
    subscript(rows: Range<Int>) -> [Number] { read(rows) }
}

extension SampleColumn<Int32> {
    /// The labels in a tensor of I32 or I64 that all fit 32 bits.
    init(labels tensor: TensorView) {
        self.init { tensor.integers(rows: $0) }
    }
}

extension SampleColumn<Float> {
    /// The numbers in a vector of a floating-point type.
    init(_ tensor: TensorView, _ convert: @escaping @Sendable ([Float]) -> [Float]) {
        self.init { rows in
            convert(
                [Float](unsafeUninitializedCapacity: rows.count) { buffer, count in
                    count = rows.count
                    if let start = buffer.baseAddress { tensor.copyFloats(rows, into: start) }
                })
        }
    }
}
