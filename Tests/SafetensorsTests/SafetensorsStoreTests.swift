import Foundation
import TestSupport
import Testing

@testable import Safetensors

@Suite("Shards and their index")
struct SafetensorsStoreTests {
    private let folder: TemporaryFolder
    private let index = "big.safetensors.index.json"

    init() throws {
        folder = try TemporaryFolder()
        try write("big-1.safetensors", ["a": 1, "b": 2], metadata: ["format": "pt", "classes": "[]"])
        try write("big-2.safetensors", ["c": 3], metadata: ["format": "pt"])
    }

    private func write(_ name: String, _ tensors: [String: Float], metadata: [String: String] = [:]) throws {
        let names = tensors.keys.sorted()
        var writer = try SafetensorsWriter(
            creating: folder.file(name),
            tensors: names.map { TensorDescription(name: $0, elementType: .float32, shape: [1]) }, metadata: metadata)
        for name in names { try writer.append([tensors[name]!], to: name) }
        try writer.finish()
    }

    private func open(_ text: String) throws -> SafetensorsStore {
        try SafetensorsStore(opening: folder.write(text, as: index))
    }

    private func error(_ text: String) throws -> InputError {
        try #require(throws: InputError.self) { try open(text) }
    }

    private static let good = """
        {"metadata": {"total_size": 12, "license": "MIT"},
         "weight_map": {"c": "big-2.safetensors", "a": "big-1.safetensors", "b": "big-1.safetensors"}}
        """

    @Test("open as one")
    func opens() throws {
        let store = try open(Self.good)
        #expect(store.names == ["a", "b", "c"])
        #expect(store.files.count == 2)
        #expect(store.metadata == ["format": "pt", "classes": "[]", "license": "MIT"])
        #expect(try store.tensor("c").floats() == [3])
        #expect(try store.tensor("c").path == folder.file("big-2.safetensors"))
        let missing = try #require(throws: InputError.self) { try store.tensor("d") }
        #expect(missing.kind == .missing && missing.file == store.path)
    }

    @Test("hash as the lines of sha256sum, and one file as itself")
    func hash() throws {
        let store = try open(Self.good)
        let lines = try [index, "big-1.safetensors", "big-2.safetensors"].map {
            try "\(sha256(ofFile: folder.file($0)))  \($0)\n"
        }
        #expect(store.sha256() == sha256(of: Data(lines.joined().utf8)))
        let single = try SafetensorsStore(opening: folder.file("big-1.safetensors"))
        #expect(try single.sha256() == sha256(ofFile: folder.file("big-1.safetensors")))
    }

    @Test(
        "stay in the folder of the index",
        arguments: ["../big-1.safetensors", "/etc/passwd", "..", ".", "", #"a\\b"#, "sub/big-1.safetensors"])
    func noEscape(name: String) throws {
        let error = try error(#"{"weight_map": {"a": "\#(name)"}}"#)
        #expect(error.kind == .malformed && error.item == "weight_map.a")
        #expect(error.file == folder.file(index) && error.expected.contains("beside the index"))
    }

    @Test(
        "need an index of the usual form",
        arguments: [
            "", "[]", "{}", #"{"weight_map": {}}"#, #"{"weight_map": []}"#, #"{"weight_map": {"a": 1}}"#,
            #"{"weight_map": {"a": "big-1.safetensors", "a": "big-2.safetensors"}}"#,
        ])
    func badIndex(text: String) throws {
        let error = try error(text)
        #expect(error.kind == .malformed && error.file == folder.file(index))
    }

    @Test("must hold what the index says, and no more")
    func contradictions() throws {
        let lacking = try error(
            #"{"weight_map": {"a": "big-1.safetensors", "b": "big-1.safetensors", "x": "big-2.safetensors", "c": "big-2.safetensors"}}"#
        )
        #expect(lacking.kind == .missing && lacking.item == "x" && lacking.file == folder.file("big-2.safetensors"))
        let extra = try error(#"{"weight_map": {"a": "big-1.safetensors"}}"#)
        #expect(extra.kind == .mismatch && extra.item == "b" && extra.file == folder.file("big-1.safetensors"))
        let gone = try error(#"{"weight_map": {"a": "big-3.safetensors"}}"#)
        #expect(gone.kind == .unreadable && gone.file == folder.file("big-3.safetensors"))
    }

    @Test("must not contradict one another's metadata")
    func metadata() throws {
        try write("big-2.safetensors", ["c": 3], metadata: ["format": "np"])
        let error = try error(Self.good)
        #expect(error.kind == .mismatch && error.item == "__metadata__.format")
    }
}
