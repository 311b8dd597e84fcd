import Foundation
import Safetensors
import TestSupport
import Testing

@testable import ExitHeads

@Suite("The heads file")
struct HeadSetFileTests {
    private let heads = [
        ExitHead.linear(LinearHead(weight: [0.5, -1, 2, 0.25], bias: [1, -1])),
        .linear(LinearHead(weight: [1, 2, 3, 4, 5, 6], bias: [0, 0.5])),
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
    private func read(_ tensors: [(String, [Int], [Float])], metadata: [String: String] = [:]) throws -> HeadSet {
        let folder = try TemporaryFolder()
        let path = folder.file("heads.safetensors")
        var writer = try SafetensorsWriter(
            creating: path,
            tensors: tensors.map { TensorDescription(name: $0.0, elementType: .float32, shape: $0.1) },
            metadata: metadata)
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

    private static let hidden = HiddenHead(
        layerNorm: .init(scale: [1, 2, 0.5], shift: [0, -1, 1]), hiddenWeight: [0.5, -1, 2, 0.25, 0, 1],
        hiddenBias: [1, -1], activation: .gelu, weight: [1, -1, 0.5, 2], bias: [0, 0.25])

    @Test("with hidden layers is read as it was written, activations and normalisations too")
    func hiddenRoundTrip() throws {
        var plain = Self.hidden
        plain.layerNorm = nil
        plain.activation = .tanh
        let heads = [ExitHead.hidden(plain), heads[0], .hidden(Self.hidden)]
        let folder = try TemporaryFolder()
        let file = folder.file("heads.safetensors")
        try HeadSet(heads: heads).write(to: file)
        #expect(try HeadSet(reading: file).heads == heads)
    }

    private typealias Tensor = (String, [Int], [Float])
    private static let hiddenTensors: [Tensor] = [
        ("exit.0.hidden.weight", [2, 3], [1, 2, 3, 4, 5, 6]), ("exit.0.hidden.bias", [2], [0, 1]),
        ("exit.0.weight", [1, 2], [1, 2]), ("exit.0.bias", [1], [0]),
    ]

    @Test("with a hidden layer says what it lacks or what does not fit")
    func hiddenMistakes() throws {
        func replacing(_ name: String, by tensor: Tensor?) -> [Tensor] {
            Self.hiddenTensors.compactMap { $0.0 == name ? tensor : $0 }
        }
        func error(_ tensors: [Tensor], _ metadata: [String: String] = ["exit.0.activation": "relu"]) throws
            -> InputError
        {
            try #require(throws: InputError.self) { try read(tensors, metadata: metadata) }
        }
        #expect(try read(Self.hiddenTensors, metadata: ["exit.0.activation": "relu"]).heads[0].width == 3)

        let noActivation = try error(Self.hiddenTensors, [:])
        #expect(noActivation.kind == .missing)
        #expect(noActivation.item == "metadata 'exit.0.activation'")
        let strange = try error(Self.hiddenTensors, ["exit.0.activation": "gelo"])
        #expect(strange.kind == .unsupported)
        #expect(strange.advice?.contains("gelu") == true)

        let noBias = try error(replacing("exit.0.hidden.bias", by: nil))
        #expect(noBias.kind == .missing)
        #expect(noBias.description.contains("exit.0.hidden.bias"))
        let wrongUnits = try error(replacing("exit.0.weight", by: ("exit.0.weight", [1, 3], [1, 2, 3])))
        #expect(wrongUnits.kind == .mismatch)
        #expect(wrongUnits.expected.contains("2, the units"))
        let halfNorm = try error(Self.hiddenTensors + [("exit.0.norm.weight", [3], [1, 1, 1])])
        #expect(halfNorm.kind == .missing)
        let wrongNorm = try error(
            Self.hiddenTensors + [("exit.0.norm.weight", [2], [1, 1]), ("exit.0.norm.bias", [2], [1, 1])])
        #expect(wrongNorm.kind == .mismatch)
        #expect(wrongNorm.item == "exit.0.norm.weight")
        let notFinite = try error(
            replacing("exit.0.hidden.bias", by: ("exit.0.hidden.bias", [2], [0, .infinity])))
        #expect(notFinite.kind == .notFinite)
    }
}
