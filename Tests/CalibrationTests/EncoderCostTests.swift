import Statistics
import Testing

@testable import Calibration

@Suite("The operations of a Transformer encoder with exits")
struct EncoderCostTests {
    /// BERT-base at 128 tokens, an exit after every layer.
    let base = EncoderCost(width: 768, feedForward: 3072, tokens: 128, classes: 2, layers: Array(1...12))

    @Test("BERT-base at 128 tokens takes exactly what PyTorch counts")
    func bertBase() {
        // torch 2.15.0: `with FlopCounterMode() as counter: model(torch.ones(1, 128, dtype=torch.long))`, then
        // `counter.get_total_flops()`, with transformers' `BertModel(BertConfig(attn_implementation="eager"),
        // add_pooling_layer=False)`; FlopCounterMode is torch.utils.flop_counter's.
        #expect(12 * base.ofLayer == 22_347_251_712)
    }

    @Test("what is left out adds a third of a per cent to BERT-base at 128 tokens")
    func leftOut() {
        // Operations for each token of a layer, each kind as often as in ELECTRA's script (norms: twice 5 an element).
        let (width, feedForward, tokens, attentionHeads) = (768, 3072, 128, 12)
        let biases = 5 * width + feedForward
        let scaling = tokens * attentionHeads
        let softmax = 5 * tokens * attentionHeads
        let activation = 8 * feedForward
        let sums = 2 * width
        let norms = 2 * 5 * width
        let share = Double(tokens * (biases + scaling + softmax + activation + sums + norms)) / base.ofLayer
        #expect(abs(share - 0.0034) < 0.0001)
    }

    @Test("agrees with all matrix products written down one by one, for random encoders")
    func enumeration() {
        var generator = SplitMix64(seed: 9)
        for _ in 0..<300 {
            let heads = Int.random(in: 1...8, using: &generator)
            let headSize = Int.random(in: 1...64, using: &generator)
            let width = heads * headSize
            let feedForward = Int.random(in: 1...2048, using: &generator)
            let tokens = Int.random(in: 1...512, using: &generator)
            let classes = Int.random(in: 2...100, using: &generator)
            let hidden = Bool.random(using: &generator) ? Int.random(in: 1...300, using: &generator) : nil
            let depth = Int.random(in: 1...24, using: &generator)
            let layers = (1...depth).filter { $0 == depth || Bool.random(using: &generator) }

            var (total, expected) = (0, [Double]())
            func product(rows: Int, inner: Int, columns: Int) { total += 2 * rows * inner * columns }
            for layer in 1...depth {
                for _ in ["query", "key", "value", "output"] { product(rows: tokens, inner: width, columns: width) }
                for _ in 0..<heads {
                    product(rows: tokens, inner: headSize, columns: tokens)
                    product(rows: tokens, inner: tokens, columns: headSize)
                }
                product(rows: tokens, inner: width, columns: feedForward)
                product(rows: tokens, inner: feedForward, columns: width)
                guard layers.contains(layer) else { continue }
                if let hidden {
                    product(rows: 1, inner: width, columns: hidden)
                    product(rows: 1, inner: hidden, columns: classes)
                } else {
                    product(rows: 1, inner: width, columns: classes)
                }
                expected.append(Double(total))
            }
            let cost = EncoderCost(
                width: width, feedForward: feedForward, tokens: Double(tokens), classes: classes, headWidth: hidden,
                layers: layers)
            // Whole numbers below 2^53: no rounding anywhere.
            #expect(cost.cumulative == expected)
        }
    }

    @Test("with an exit after every layer, costs rise by the same step: one layer and one head")
    func everyLayer() {
        let step = base.ofLayer + 2 * 768 * 2
        #expect(base.cumulative == (1...12).map { Double($0) * step })
    }

    @Test("an exit pays for the heads before it, and layers without an exit still cost")
    func sparse() {
        let cost = EncoderCost(width: 4, feedForward: 8, tokens: 3, classes: 2, headWidth: 5, layers: [2, 5])
        // 8 s d^2 + 4 s^2 d + 4 s d f = 384 + 144 + 384, and 2 d h + 2 h C = 40 + 20.
        #expect(cost.ofLayer == 912 && cost.ofHead == 60)
        #expect(cost.cumulative == [1884, 4680])
    }

    @Test("the mean cost is the cost at the mean length plus 4 d times the variance for each layer")
    func meanLength() {
        func cost(tokens: Double) -> Double {
            EncoderCost(width: 16, feedForward: 64, tokens: tokens, classes: 3, layers: [6]).cumulative[0]
        }
        let lengths = [10.0, 20, 60]
        let mean = lengths.reduce(0, +) / 3
        let variance = lengths.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 3
        let meanCost = lengths.reduce(0) { $0 + cost(tokens: $1) } / 3
        let predicted = cost(tokens: mean) + 6 * 4 * 16 * variance
        #expect(abs(meanCost - predicted) < 1e-12 * predicted && variance > 0)
    }
}
