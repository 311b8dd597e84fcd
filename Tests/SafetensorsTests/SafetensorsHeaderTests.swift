import Foundation
import TestSupport
import Testing

@testable import Safetensors

@Suite("The header of a safetensors file")
struct SafetensorsHeaderTests {
    /// A file that must be refused, and what the message must say.
    struct BadFile: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var data: Data
        var kind: InputError.Kind = .malformed
        var item: String?
        var mentions: [String]

        init(
            _ testDescription: String, header: String, length: UInt64? = nil, dataCount: Int = 0,
            kind: InputError.Kind = .malformed, item: String?, mentions: String...
        ) {
            self.testDescription = testDescription
            data = safetensorsBytes(header: header, length: length, dataCount: dataCount)
            self.kind = kind
            self.item = item
            self.mentions = mentions
        }
    }

    /// A header with one tensor `t`.
    private static func one(_ dtype: String, _ shape: String, _ offsets: String) -> String {
        #"{"t":{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)}}"#
    }

    private static func two(_ first: String, _ second: String) -> String {
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":\#(first)},"b":{"dtype":"U8","shape":[4],"data_offsets":\#(second)}}"#
    }

    static let badFiles: [BadFile] = [
        BadFile(
            "a length past the end of the file", header: "{}", length: 3, item: "header length", mentions: "3 bytes",
            "holds 2"),
        BadFile(
            "a length above the limit", header: "{}", length: 100_000_001, item: "header length",
            mentions: "100000001", "at most 100000000"),
        BadFile(
            "a length that is negative as a signed number", header: "{}", length: .max, item: "header length",
            mentions: "18446744073709551615"),
        BadFile("an empty header", header: "", item: "header", mentions: "it is empty"),
        BadFile("an array for a header", header: "[]", item: "header", mentions: "byte 91"),
        BadFile("a blank before the header", header: " {}", item: "header", mentions: "byte 32"),
        BadFile("a header that ends early", header: #"{"t":"#, item: "header", mentions: "ends where a value"),
        BadFile("something after the header", header: "{} x", item: "header", mentions: "follows the value"),
        BadFile(
            "one tensor twice",
            header:
                #"{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            item: "header", mentions: "'t' stands twice"),
        BadFile(
            "two shapes of one tensor", header: #"{"t":{"dtype":"U8","shape":[0],"shape":[1],"data_offsets":[0,0]}}"#,
            item: "header", mentions: "'shape' stands twice"),
        BadFile("a tensor that is no object", header: #"{"t":3}"#, item: "t", mentions: "a number", "dtype, shape"),
        BadFile(
            "no dtype", header: #"{"t":{"shape":[1],"data_offsets":[0,1]}}"#, item: "t: dtype", mentions: "nothing"),
        BadFile(
            "no shape", header: #"{"t":{"dtype":"U8","data_offsets":[0,1]}}"#, item: "t: shape", mentions: "nothing"),
        BadFile(
            "no offsets", header: #"{"t":{"dtype":"U8","shape":[1]}}"#, item: "t: data_offsets", mentions: "nothing"),
        BadFile(
            "a dtype nobody knows", header: one(#""F31""#, "[0]", "[0,0]"), item: "t: dtype", mentions: "'F31'", "BF16"),
        BadFile("a dtype that is no string", header: one("16", "[0]", "[0,0]"), item: "t: dtype", mentions: "a number"),
        BadFile(
            "a dtype of the format that is not served", header: one(#""F64""#, "[0]", "[0,0]"), kind: .unsupported,
            item: "t: dtype", mentions: "'F64'", "Convert"),
        BadFile(
            "a shape that is no array", header: one(#""U8""#, "4", "[0,4]"), item: "t: shape", mentions: "a number"),
        BadFile("a negative extent", header: one(#""U8""#, "[-1]", "[0,0]"), item: "t: shape", mentions: "-1"),
        BadFile(
            "an extent with a fraction", header: one(#""U8""#, "[1.5]", "[0,1]"), item: "t: shape", mentions: "1.5"),
        BadFile(
            "an extent beyond 64 bits", header: one(#""U8""#, "[9223372036854775808]", "[0,1]"), item: "t: shape",
            mentions: "9223372036854775808"),
        BadFile(
            "extents whose product overflows", header: one(#""U8""#, "[4294967296, 4294967296]", "[0,0]"),
            item: "t: shape", mentions: "4294967296", "below 2^63"),
        BadFile(
            "a size in bytes that overflows", header: one(#""F32""#, "[4611686018427387904]", "[0,0]"),
            item: "t: shape", mentions: "below 2^63"),
        BadFile(
            "three offsets", header: one(#""U8""#, "[1]", "[0,1,1]"), item: "t: data_offsets", mentions: "[0, 1, 1]",
            "two integers"),
        BadFile(
            "an offset that is a string", header: one(#""U8""#, "[1]", #"[0,"1"]"#), item: "t: data_offsets",
            mentions: "the string '1'"),
        BadFile(
            "offsets past the data", header: one(#""U8""#, "[8]", "[0,8]"), dataCount: 7, item: "t: data_offsets",
            mentions: "[0, 8]", "7 bytes of data", "truncated"),
        BadFile(
            "a negative offset", header: one(#""U8""#, "[2]", "[-1,1]"), dataCount: 4, item: "t: data_offsets",
            mentions: "[-1, 1]"),
        BadFile(
            "offsets in the wrong order", header: one(#""U8""#, "[0]", "[2,1]"), dataCount: 4, item: "t: data_offsets",
            mentions: "[2, 1]", "begin <= end"),
        BadFile(
            "a size that is not the shape's", header: one(#""F16""#, "[2, 2]", "[0,4]"), dataCount: 4,
            item: "t: data_offsets", mentions: "4 bytes", "8 bytes for F16 [2, 2]"),
        BadFile(
            "tensors that overlap", header: two("[0,4]", "[3,7]"), dataCount: 7, item: "b: data_offsets",
            mentions: "1 of its bytes", "'a'"),
        BadFile(
            "tensors on the same bytes", header: two("[0,4]", "[0,4]"), dataCount: 4, item: "b: data_offsets",
            mentions: "4 of its bytes", "'a'"),
        BadFile(
            "a hole between tensors", header: two("[0,4]", "[5,9]"), dataCount: 9, item: "b: data_offsets",
            mentions: "1 bytes between a"),
        BadFile(
            "a hole before the first tensor", header: one(#""U8""#, "[1]", "[1,2]"), dataCount: 2,
            item: "t: data_offsets", mentions: "the start of the data"),
        BadFile(
            "bytes after the last tensor", header: one(#""U8""#, "[1]", "[0,1]"), dataCount: 3, item: "data",
            mentions: "2 bytes after"),
        BadFile(
            "metadata that is no object", header: #"{"__metadata__":[]}"#, item: "__metadata__", mentions: "an array"),
        BadFile(
            "metadata with a number", header: #"{"__metadata__":{"n":1}}"#, item: "__metadata__.n",
            mentions: "a number", "a string"),
    ]

    @Test("refuses a file with", arguments: badFiles)
    func refuses(_ bad: BadFile) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(bad.data, as: "bad.safetensors")
        let error = try #require(throws: InputError.self) { try SafetensorsFile(opening: path) }
        #expect(error.kind == bad.kind)
        #expect(error.file == path)
        #expect(error.item == bad.item)
        for text in bad.mentions { #expect(error.description.contains(text), "\(error)") }
    }

    @Test("refuses every truncation of a good file, and every file that is longer")
    func truncations() throws {
        let folder = try TemporaryFolder()
        let header = #"{"t":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}"#
        let whole = safetensorsBytes(header: header, dataCount: 6)
        for count in 0..<whole.count {
            let path = try folder.write(whole.prefix(count), as: "cut.safetensors")
            let error = try #require(throws: InputError.self) { try SafetensorsFile(opening: path) }
            #expect(error.kind == .malformed)
        }
        let longer = try folder.write(whole + Data([0]), as: "long.safetensors")
        #expect(throws: InputError.self) { try SafetensorsFile(opening: longer) }
        let path = try folder.write(whole, as: "whole.safetensors")
        #expect(try SafetensorsFile(opening: path).names == ["t"])
    }

    @Test("says that a file is missing, or is a folder")
    func unreadable() throws {
        let folder = try TemporaryFolder()
        let missing = folder.file("missing.safetensors")
        let first = try #require(throws: InputError.self) { try SafetensorsFile(opening: missing) }
        #expect(first.kind == .unreadable && first.file == missing && first.seen.contains("No such file"))
        let second = try #require(throws: InputError.self) { try SafetensorsFile(opening: folder.path) }
        #expect(second.kind == .unreadable && second.seen == "is a folder")
    }

    @Test("allows tensors without elements anywhere between others, blanks after the header, and unknown members")
    func oddButGood() throws {
        let folder = try TemporaryFolder()
        let header = """
            {"z":{"dtype":"F32","shape":[0,9],"data_offsets":[2,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},\
            "a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"note":null}} \n\t
            """
        let path = try folder.write(safetensorsBytes(header: header, dataCount: 4), as: "odd.safetensors")
        let file = try SafetensorsFile(opening: path)
        #expect(file.names == ["a", "z", "b"])
        #expect(try file.tensor("b").unsignedBytes() == [2, 3])
        #expect(try file.tensor("z").floats() == [])
        #expect(try SafetensorsFile(opening: folder.write(safetensorsBytes(header: "{}"), as: "none")).names == [])
    }
}
