import Foundation

/// Numbers that are encoded as their bytes, little-endian: the state of an optimiser stays small and comes back to the
/// last bit, infinities and NaN too, in JSON (as Base64) as in property lists (as data).
///
/// `Scalar` is one of `Float16`, `Float` and `Double`, whose memory is all value.
struct PackedNumbers<Scalar: BinaryFloatingPoint & Sendable>: Codable, Equatable, Sendable {
    /// The numbers.
    var values: [Scalar]

    /// Wraps numbers.
    init(_ values: [Scalar]) { self.values = values }

    /// Reads numbers.
    ///
    /// - Throws: `DecodingError`, also where the bytes are not those of whole numbers.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let bytes = Array(try container.decode(Data.self))
        let size = MemoryLayout<Scalar>.size
        guard bytes.count % size == 0 else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(bytes.count) bytes, expected a multiple of \(size)")
        }
        values = Array(repeating: 0, count: bytes.count / size)
        values.withUnsafeMutableBytes { $0.copyBytes(from: Self.littleEndian(bytes)) }
    }

    /// Writes the numbers' bytes.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(Self.littleEndian(values.withUnsafeBytes { Array($0) })))
    }

    /// Bytes in the order of this machine as little-endian ones, or the other way round.
    private static func littleEndian(_ bytes: [UInt8]) -> [UInt8] {
        guard 1.littleEndian != 1 else { return bytes }
        let size = MemoryLayout<Scalar>.size
        return bytes.indices.map { bytes[$0 / size * size + size - 1 - $0 % size] }
    }
}
