import Foundation
import Testing

@testable import ExitHeads

/// What `Resources/make_torch_heads.py` wrote: heads in PyTorch's own layout, and what it says with them.
private struct TorchHeads: Decodable {
    /// [exits][rows][width]
    var features: [[[Float]]]
    /// [exits][rows][classes], in Double from the same Float32 parameters.
    var doubleLogits: [[[Double]]]

    static func resource(_ name: String, _ type: String) throws -> URL {
        try #require(Bundle.module.url(forResource: name, withExtension: type, subdirectory: "Resources"))
    }

    static func read() throws -> TorchHeads {
        try JSONDecoder().decode(TorchHeads.self, from: Data(contentsOf: resource("torch_heads", "json")))
    }
}

@Suite("Heads trained in PyTorch")
struct TorchHeadsTests {
    @Test("are read, and say what PyTorch says with them, to Float32's rounding")
    func logits() throws {
        let golden = try TorchHeads.read()
        let heads = try HeadSet(reading: TorchHeads.resource("torch_heads", "safetensors").path).heads
        try #require(heads.count == 4 && golden.features.count == 4)
        for (exit, head) in heads.enumerated() {
            for (features, expected) in zip(golden.features[exit], golden.doubleLogits[exit]) {
                let scale = expected.reduce(1) { max($0, abs($1)) }
                for (found, expected) in zip(head.logits(features), expected) {
                    #expect(abs(Double(found) - expected) <= Double(Float.ulpOfOne) * scale, "exit \(exit)")
                }
            }
        }
    }

    @Test("are of the kinds that they were made as")
    func kinds() throws {
        let heads = try HeadSet(reading: TorchHeads.resource("torch_heads", "safetensors").path).heads
        guard case .linear = heads[0], case .hidden(let first) = heads[1], case .hidden(let second) = heads[2],
            case .hidden(let third) = heads[3]
        else {
            Issue.record("a linear head and three with hidden layers")
            return
        }
        #expect([first, second, third].map(\.activation) == [.tanh, .gelu, .relu])
        #expect([first, second, third].map { $0.layerNorm != nil } == [false, true, false])
    }
}
