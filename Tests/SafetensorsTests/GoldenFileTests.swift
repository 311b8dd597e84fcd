import Foundation
import TestSupport
import Testing

@testable import Safetensors

/// `Resources/make_golden.py` says how the file was made.
@Suite("A file written by the format's own library")
struct GoldenFileTests {
    private let file: SafetensorsFile

    init() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        file = try SafetensorsFile(opening: folder.appendingPathComponent("Resources/golden.safetensors").path)
    }

    @Test("has the tensors and the metadata it was given")
    func descriptions() throws {
        #expect(
            Set(file.tensors.map(\.description.description)) == [
                "f32 F32 [2, 3]", "f16 F16 [3, 2]", "bf16 BF16 [3]", "i32 I32 [4]", "i64 I64 [2, 1]", "u8 U8 [5]",
                "scalar F32 []", "empty F32 [0, 4]",
            ])
        #expect(file.metadata == ["classes": #"["bad", "good"]"#, "source": "Büchner — \"quoted\"\n\\"])
    }

    @Test("gives the same floating-point numbers")
    func floats() throws {
        #expect(try file.tensor("f32").floats() == [0.5, -1.25, 3, Float(bitPattern: 0x0001_16C2), -.infinity, 65504])
        let halves = try file.tensor("f16").floats()
        #expect(halves == [0.5, -1.25, 0x1p-24, 65504, -.infinity, 0] && halves[5].sign == .minus)
        #expect(try file.tensor("bf16").floats() == [1, -3.140625, Float(bitPattern: 0x7E96 << 16)])
        #expect(try file.tensor("scalar").floats() == [2.5])
        #expect(try file.tensor("empty").floats() == [])
    }

    @Test("gives the same integers")
    func integers() throws {
        #expect(try file.tensor("i32").integers() == [.min, -1, 0, .max])
        #expect(try file.tensor("i64").integers() == [-5, 7])
        #expect(try file.tensor("u8").integers() == [0, 1, 2, 3, 255])
        #expect(try file.tensor("u8").unsignedBytes() == [0, 1, 2, 3, 255])
    }

    @Test("refuses to read one kind of number as another")
    func wrongTypes() throws {
        for name in ["i32", "i64", "u8"] {
            let error = try #require(throws: InputError.self) { try file.tensor(name).floats() }
            #expect(error.kind == .mismatch && error.item == name && error.file == file.path)
        }
        for name in ["f32", "f16", "bf16"] {
            #expect(throws: InputError.self) { try file.tensor(name).integers() }
        }
        #expect(throws: InputError.self) { try file.tensor("i32").unsignedBytes() }
    }

    @Test("names the nearest tensors when one is missing")
    func missing() throws {
        let error = try #require(throws: InputError.self) { try file.tensor("f23") }
        #expect(error.kind == .missing && error.item == "f23")
        #expect(error.advice == "Did you mean f32?")
        #expect(file["f23"] == nil)
    }

    @Test("finds an infinity by its index")
    func nonFinite() throws {
        #expect(try file.tensor("f32").firstNonFinite() == 4)
        #expect(try file.tensor("f16").firstNonFinite() == 4)
        #expect(try file.tensor("bf16").firstNonFinite() == nil)
        #expect(try file.tensor("f16").description.place(ofElement: 4) == "f16[2, 0]")
    }

    @Test("has the checksum that sha256sum prints")
    func checksum() throws {
        #expect(
            try sha256(ofFile: file.path) == "e2f862986c7a5e79e651ba46ce3b04ab8649afd471920f4dc31b0f0d6c086722")
        #expect(sha256(of: Data("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
