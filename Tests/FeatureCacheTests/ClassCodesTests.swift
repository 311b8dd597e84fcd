import Safetensors
import Testing

@testable import FeatureCache

@Suite("Classes of a table")
struct ClassCodesTests {
    private func codes(_ texts: Set<String>, listed: [String]? = nil) throws -> ClassCodes {
        try ClassCodes(of: texts, listed: listed, file: "outputs.csv")
    }

    /// The name of the class that a text is of.
    private func name(_ text: String, in codes: ClassCodes) -> String { codes.names[Int(codes[text])] }

    @Test("are numbered by the alphabet where they are texts")
    func texts() throws {
        let codes = try codes(["dog", "Cat", "ant", "Ähre"])
        #expect(codes.names == ["Cat", "ant", "dog", "Ähre"])
        #expect(["Cat", "ant", "dog", "Ähre"].map { codes[$0] } == [0, 1, 2, 3])
    }

    @Test("are numbered by value where all are whole numbers, and 3 and 3.0 are the same")
    func numbers() throws {
        let codes = try codes(["10", "3", "3.0", "-1", "2.0", "3e0"])
        #expect(codes.names == ["-1", "2", "3", "10"])
        #expect(["-1", "2.0", "3", "3.0", "3e0", "10"].map { codes[$0] } == [0, 1, 2, 2, 2, 3])
        let padded = try self.codes(["3", "3 "])
        #expect(padded.names == ["3"])
    }

    @Test("are texts where one of them is no whole number", arguments: ["none", "2.5", "nan", "inf", "1e12"])
    func mixed(text: String) throws {
        let codes = try codes(["3", "3.0", "10", text])
        #expect(codes.names == ["10", "3", "3.0", text].sorted())
        #expect(Set(["3", "3.0", "10", text].map { codes[$0] }).count == 4)
    }

    @Test("are numbered as the user lists them, those that do not occur too")
    func listed() throws {
        let codes = try codes(["yes", "no"], listed: ["yes", "maybe", "no"])
        #expect(codes.names == ["yes", "maybe", "no"] && codes["yes"] == 0 && codes["no"] == 2)
    }

    @Test("may be listed as numbers, in any order and either way of writing")
    func listedNumbers() throws {
        let codes = try codes(["1", "1.0", "0", "2.0"], listed: ["2", "1", "0"])
        #expect(["0", "1", "1.0", "2.0"].map { codes[$0] } == [2, 1, 1, 0])
        let written = try self.codes(["0.0", "1.0"], listed: ["1.0", "0.0"])
        #expect(name("0.0", in: written) == "0.0" && name("1.0", in: written) == "1.0")
    }

    @Test("may be places in the list")
    func places() throws {
        let codes = try codes(["0", "2", "2.0"], listed: ["bad", "fair", "good"])
        #expect(codes.names == ["bad", "fair", "good"])
        #expect(["0", "2", "2.0"].map { codes[$0] } == [0, 2, 2])
    }

    @Test("are not taken for places when the list has numbers: a label may be missing in it")
    func noPlacesAmongNumbers() throws {
        let error = try #require(throws: InputError.self) { try codes(["0", "1", "2"], listed: ["1", "2", "3"]) }
        #expect(error.kind == .outOfRange && error.seen == "'0'")
    }

    @Test(
        "are refused when they are not listed",
        arguments: [
            (["good", "god", "bad"], ["bad", "good"], "'god'", "Did you mean `good`?"),
            (["good", "excellent"], ["bad", "good"], "'excellent'", nil),
            (["0", "3"], ["bad", "fair", "good"], "'3'", nil),
            (["0", "-1"], ["bad", "fair", "good"], "'-1'", nil),
            (["0", "good"], ["bad", "fair", "good"], "'0'", nil),
            (["4", "3.0"], ["3", "2"], "'4'", "Did you mean `2`?"),
        ] as [(Set<String>, [String], String, String?)])
    func strangers(texts: Set<String>, listed: [String], seen: String, advice: String?) throws {
        let error = try #require(throws: InputError.self) { try codes(texts, listed: listed) }
        #expect(error.kind == .outOfRange && error.file == "outputs.csv" && error.item == "labels")
        #expect(error.seen == seen, "\(error)")
        #expect(error.expected.hasPrefix("one of the \(listed.count) classes \(listed.joined(separator: ", "))"))
        #expect(error.advice == advice)
    }
}
