import Foundation
import TestSupport
import Testing

@testable import Safetensors

@Suite("Writing safetensors")
struct SafetensorsWriterTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let declared = [
        TensorDescription(name: "wide", elementType: .int64, shape: [2]),
        TensorDescription(name: "floats", elementType: .float32, shape: [2, 3]),
        TensorDescription(name: "nothing", elementType: .float32, shape: [3, 0]),
        TensorDescription(name: "scalar", elementType: .int32, shape: []),
        TensorDescription(name: "halves", elementType: .float16, shape: [3]),
        TensorDescription(name: "brains", elementType: .bfloat16, shape: [2]),
        TensorDescription(name: "codes", elementType: .uint8, shape: [3]),
    ]

    private static let metadata = ["b": "\u{1}\t\"\\é😀", "a": "x"]

    private func write(_ name: String) throws {
        var writer = try SafetensorsWriter(
            creating: folder.file(name), tensors: Self.declared, metadata: Self.metadata)
        try writer.append([-1, 7] as [Int32], to: "wide")
        try writer.append([1, 2, 3, 4] as [Float], to: "floats")
        try writer.append([5, 6] as [Float], to: "floats")
        try writer.append([] as [Float], to: "nothing")
        try writer.append([42] as [Int32], to: "scalar")
        try writer.append([0.1, -65504, 0x1p-24] as [Float], to: "halves")
        try writer.append([0.1, 3e38] as [Float], to: "brains")
        try writer.append([0, 1, 255] as [UInt8], to: "codes")
        try writer.finish()
    }

    @Test("reads back what was written, in every type")
    func roundTrip() throws {
        try write("file.safetensors")
        let file = try SafetensorsFile(opening: folder.file("file.safetensors"))
        #expect(file.tensors.map(\.description) == Self.declared)
        #expect(file.metadata == Self.metadata)
        #expect(try file.tensor("wide").integers() == [-1, 7])
        #expect(try file.tensor("floats").floats() == [1, 2, 3, 4, 5, 6])
        #expect(try file.tensor("nothing").floats() == [])
        #expect(try file.tensor("scalar").integers() == [42])
        #expect(try file.tensor("halves").floats() == [0x1.998p-4, -65504, 0x1p-24])
        #expect(try file.tensor("brains").floats() == [0x1.9ap-4, 0x1.c4p127])
        #expect(try file.tensor("codes").unsignedBytes() == [0, 1, 255])
        #expect(try folder.contents() == ["file.safetensors"])
    }

    @Test("gives the same bytes for the same input, keys sorted, data aligned to eight bytes")
    func deterministic() throws {
        try write("one")
        try write("two")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("one")))
        #expect(try bytes == Data(contentsOf: URL(fileURLWithPath: folder.file("two"))))
        let length = Int(bytes[0]) | Int(bytes[1]) << 8
        #expect(length % 8 == 0)
        let header = String(decoding: bytes[8..<(8 + length)], as: UTF8.self)
        #expect(
            header.hasPrefix(
                #"{"__metadata__":{"a":"x","b":"\u0001\t\"\\é😀"},"brains":{"data_offsets":[50,54],"dtype":"BF16","shape":[2]},"codes""#
            ), "\(header)")
        let afterBlanks = header.drop { $0 != " " }
        #expect(afterBlanks.allSatisfy { $0 == " " } && afterBlanks.count < 8)
    }

    @Test("sorts wider types first without changing their order otherwise")
    func wideFirst() {
        let mixed = [2, 0, 1, 6, 4].map { Self.declared[$0] }
        #expect(TensorDescription.wideFirst(mixed).map(\.name) == ["wide", "nothing", "floats", "halves", "codes"])
    }

    @Test("writes a tensor that is much larger than its block, in pieces of any size")
    func blocks() throws {
        var generator = TestGenerator(state: 5)
        let values = (0..<50_001).map { _ in Float.random(in: -9...9, using: &generator) }
        for (name, piece) in [("whole", values.count), ("pieces", 7777)] {
            var writer = try SafetensorsWriter(
                creating: folder.file(name),
                tensors: [TensorDescription(name: "t", elementType: .float16, shape: [values.count])])
            for start in stride(from: 0, to: values.count, by: piece) {
                try writer.append(Array(values[start..<min(values.count, start + piece)]), to: "t")
            }
            try writer.finish()
        }
        #expect(try sha256(ofFile: folder.file("whole")) == sha256(ofFile: folder.file("pieces")))
        let read = try SafetensorsFile(opening: folder.file("whole")).tensor("t").floats()
        for (exact, rounded) in zip(values, read) { #expect(abs(exact - rounded) <= 0x1p-11 * abs(exact) + 0x1p-25) }
    }

    @Test("says which number is too large for F16, and leaves what was there")
    func overflow() throws {
        let path = try folder.write("old", as: "file.safetensors")
        func attempt() throws {
            var writer = try SafetensorsWriter(
                creating: path, tensors: [TensorDescription(name: "t", elementType: .float16, shape: [20_000, 2])])
            var values = [Float](repeating: 1, count: 40_000)
            values[39_999] = -65520
            try writer.append(Array(values[..<4]), to: "t")
            try writer.append(Array(values[4...]), to: "t")
            try writer.finish()
        }
        let error = try #require(throws: InputError.self) { try attempt() }
        #expect(error.kind == .outOfRange && error.file == path && error.item == "t[19999, 1]")
        #expect(error.seen == "-65520.0")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
        #expect(try folder.contents() == ["file.safetensors"])
    }

    @Test("keeps an infinity that was one before")
    func infinity() throws {
        var writer = try SafetensorsWriter(
            creating: folder.file("f"), tensors: [TensorDescription(name: "t", elementType: .float16, shape: [2])])
        try writer.append([.infinity, -.infinity] as [Float], to: "t")
        try writer.finish()
        #expect(try SafetensorsFile(opening: folder.file("f")).tensor("t").floats() == [.infinity, -.infinity])
    }

    @Test("is read by the format's own library, where Python has it", .enabled(if: Python.hasSafetensors))
    func python() throws {
        try write("file.safetensors")
        let script = """
            import sys
            from safetensors import safe_open
            with safe_open(sys.argv[1], framework="np") as file:
                print(file.metadata()["a"], file.get_tensor("wide").tolist(), file.get_tensor("floats").tolist())
                print(file.get_tensor("scalar").tolist(), file.get_tensor("halves").tolist(), file.get_slice("nothing").get_shape())
            """
        let output = try Python.run(script, folder.file("file.safetensors"))
        #expect(
            output == """
                x [-1, 7] [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
                42 [0.0999755859375, -65504.0, 5.960464477539063e-08] [3, 0]

                """)
    }
}

/// The `python3` of the path (or of `BEEM_PYTHON`), for tests against other people's code.
private enum Python {
    static let hasSafetensors = (try? run("import safetensors.numpy", "")) != nil

    struct Failure: Error {}

    static func run(_ script: String, _ argument: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let python = ProcessInfo.processInfo.environment["BEEM_PYTHON"] ?? "python3"
        process.arguments = [python, "-c", script, argument]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure() }
        return String(decoding: data, as: UTF8.self)
    }
}
