import Testing

@testable import Safetensors

@Suite("Strict JSON")
struct StrictJSONTests {
    private func parse(_ text: String) throws -> StrictJSON { try parse(bytes: Array(text.utf8)) }

    private func parse(bytes: [UInt8]) throws -> StrictJSON {
        try bytes.withUnsafeBytes { try StrictJSON.parse($0) }
    }

    @Test("reads every kind of value")
    func values() throws {
        let value = try parse(#" {"a":[1,-2.5e+3,0],"b":{"c":null,"d":true},"e":false,"f":"x","g":{},"h":[]} "#)
        #expect(value["a"] == .array([.number("1"), .number("-2.5e+3"), .number("0")]))
        #expect(value["b"]?["c"] == .null && value["b"]?["d"] == .bool(true) && value["e"] == .bool(false))
        #expect(value["f"] == .string("x") && value["g"] == .object([]) && value["h"] == .array([]))
        #expect(StrictJSON.number("12").integer == 12 && StrictJSON.number("1e3").integer == nil)
    }

    @Test("reads escapes, surrogate pairs and text beyond ASCII")
    func strings() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\té\uD83D\uDE00ß""#) == .string("\"\\/\u{8}\u{C}\n\r\té😀ß"))
    }

    @Test(
        "refuses",
        arguments: [
            "", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", "1e", "-", "+1", ".5", "nul", "tru", "'a'", "\"a",
            "\"\\x\"", "\"\\u12G4\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "\"\n\"", "{\"a\" 1}",
            "[1 2]",
            "1 2", "{\"a\":1,\"a\":2}", "NaN", "Infinity",
        ])
    func refuses(_ text: String) {
        #expect(throws: StrictJSON.Failure.self) { try parse(text) }
    }

    @Test("refuses what is not UTF-8, and nesting that would exhaust the stack")
    func hostile() {
        #expect(throws: StrictJSON.Failure.self) { try parse(bytes: [0x22, 0xFF, 0x22]) }
        #expect(throws: StrictJSON.Failure.self) { try parse(bytes: [0x22, 0xC0, 0xAF, 0x22]) }
        #expect(throws: StrictJSON.Failure.self) { try parse(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: Never.self) {
            try parse(String(repeating: "[", count: 32) + String(repeating: "]", count: 32))
        }
    }
}
