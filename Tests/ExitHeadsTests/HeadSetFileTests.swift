import Foundation
import Safetensors
import TestSupport
import Testing

@testable import ExitHeads

@Suite("The heads file")
struct HeadSetFileTests {
    private let heads = [
        LinearHead(weight: [0.5, -1, 2, 0.25], bias: [1, -1]), LinearHead(weight: [1, 2, 3, 4, 5, 6], bias: [0, 0.5]),
    ]

    @Test("is read as it was written, and the same heads give the same bytes")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.file("a.safetensors"), folder.file("b.safetensors"))
        try HeadSet(heads: heads).write(to: first)
        try HeadSet(heads: heads).write(to: second)
        #expect(try HeadSet(reading: first).heads == heads)
        #expect(try Data(contentsOf: URL(fileURLWithPath: first)) == Data(contentsOf: URL(fileURLWithPath: second)))
    }

    /// Writes tensors as they are given and reads them as heads.
    private func read(_ tensors: [(String, [Int], [Float])]) throws -> HeadSet {
        let folder = try TemporaryFolder()
        let path = folder.file("heads.safetensors")
        var writer = try SafetensorsWriter(
            creating: path,
            tensors: tensors.map { TensorDescription(name: $0.0, elementType: .float32, shape: $0.1) })
        for tensor in tensors { try writer.append(tensor.2, to: tensor.0) }
        try writer.finish()
        return try HeadSet(reading: path)
    }

    @Test("with a weight but no bias is refused, and the tensor is named")
    func missingBias() throws {
        let error = try #require(throws: InputError.self) { try read([("exit.0.weight", [2, 2], [1, 2, 3, 4])]) }
        #expect(error.kind == .missing)
        #expect(error.description.contains("exit.0.bias"))
    }

    @Test("with a bias of other classes is refused")
    func shapesDisagree() throws {
        let error = try #require(throws: InputError.self) {
            try read([("exit.0.weight", [2, 2], [1, 2, 3, 4]), ("exit.0.bias", [3], [1, 2, 3])])
        }
        #expect(error.kind == .mismatch)
        #expect(error.item == "exit.0.bias")
    }

    @Test("with NaN is refused, and the element is named")
    func notFinite() throws {
        let error = try #require(throws: InputError.self) {
            try read([("exit.0.weight", [2, 1], [1, .nan]), ("exit.0.bias", [2], [1, 2])])
        }
        #expect(error.kind == .notFinite)
        #expect(error.item == "exit.0.weight")
        #expect(error.seen.contains("element 1"))
    }

    @Test("with an exit left out is refused")
    func gap() throws {
        let error = try #require(throws: InputError.self) {
            try read([
                ("exit.0.weight", [1, 1], [1]), ("exit.0.bias", [1], [1]), ("exit.2.weight", [1, 1], [1]),
                ("exit.2.bias", [1], [1]),
            ])
        }
        #expect(error.kind == .malformed)
        #expect(error.item == "exit.2.weight")
    }

    @Test("with a hidden layer is said to be unsupported")
    func hidden() throws {
        let error = try #require(throws: InputError.self) {
            try read([
                ("exit.0.hidden.weight", [1, 1], [1]), ("exit.0.weight", [1, 1], [1]), ("exit.0.bias", [1], [1]),
            ])
        }
        #expect(error.kind == .unsupported)
    }
}
