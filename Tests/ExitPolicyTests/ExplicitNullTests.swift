import ExitPolicy
import Foundation
import Testing

@Suite("A value that may be missing in JSON")
struct ExplicitNullTests {
    private struct Example: Encodable {
        @ExplicitNull var value: Int?
        var other: Int?
    }

    @Test("is written as null, not left out", arguments: [(nil, #"{"value":null}"#), (3, #"{"value":3}"#)])
    func written(value: Int?, text: String) throws {
        #expect(try String(decoding: JSONEncoder().encode(Example(value: value)), as: UTF8.self) == text)
    }
}
