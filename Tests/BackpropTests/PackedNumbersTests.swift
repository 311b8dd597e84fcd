import Foundation
import Testing

@testable import Backprop

@Suite("Packed numbers")
struct PackedNumbersTests {
    @Test("come back to the last bit, with zeros' signs, infinities and NaN payloads")
    func roundTrip() throws {
        let doubles = [0.1, -0, .infinity, -.infinity, .leastNonzeroMagnitude, .nan, Double(nan: 77, signaling: false)]
        let floats: [Float] = [0.1, -0, .infinity, .greatestFiniteMagnitude, .nan]
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        let backDoubles = try PropertyListDecoder().decode(
            PackedNumbers<Double>.self, from: encoder.encode(PackedNumbers(doubles)))
        #expect(backDoubles.values.map(\.bitPattern) == doubles.map(\.bitPattern))
        let backFloats = try JSONDecoder().decode(
            PackedNumbers<Float>.self, from: JSONEncoder().encode(PackedNumbers(floats)))
        #expect(backFloats.values.map(\.bitPattern) == floats.map(\.bitPattern))
    }

    @Test("are little-endian bytes")
    func layout() throws {
        let text = try String(decoding: JSONEncoder().encode(PackedNumbers<Float>([1])), as: UTF8.self)
        #expect(text == "\"\(Data([0, 0, 0x80, 0x3F]).base64EncodedString())\"".replacing("/", with: "\\/"))
    }

    @Test("of no whole number of bytes are refused")
    func partOfANumber() throws {
        let data = try JSONEncoder().encode(Data(count: 12))
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(PackedNumbers<Double>.self, from: data) }
        #expect(try JSONDecoder().decode(PackedNumbers<Float>.self, from: data).values == [0, 0, 0])
    }
}
