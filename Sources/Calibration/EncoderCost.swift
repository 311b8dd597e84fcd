/// Floating-point operations of a Transformer encoder with an exit head after some of its layers, for one sample.
///
/// A multiplication with its addition counts as two operations. With width d, feed-forward width f and s tokens, a
/// layer takes
///
/// - 8 s d^2 for the query, key, value and output projections,
/// - 4 s^2 d for the attention scores and the weighted sum of the values, every token with every token,
/// - 4 s d f for the two products of the feed-forward part,
///
/// and a head, which works on one pooled vector, takes 2 d C for C classes, or 2 d h + 2 h C with a hidden width h.
///
/// Left out: norms, softmax, activations, biases, residual sums, pooling, and the embedding, which is a look-up. The
/// first five add 0.34 % to BERT-base at 128 tokens. Operations are not time: they say nothing of memory traffic, of
/// launches or of batches.
///
/// The attention term is quadratic, so the cost at the mean number of tokens is below the mean cost, by 4 d times the
/// variance of the number of tokens for each layer. Padded samples cost what their padded length costs.
///
/// - Reference: Hoffmann et al. (2022), "Training compute-optimal large language models", appendix F, has the same
///   terms. Kaplan et al. (2020), "Scaling laws for neural language models", section 2.1 and table 1, has the same
///   convention and half of the attention term, 2 s d a token, as for a causal model. What is left out was counted as
///   by Clark et al. (2020), "ELECTRA", in their `flops_computation.py`.
public struct EncoderCost: Equatable, Sendable {
    /// The width of a token's vector, d.
    public let width: Int
    /// The width inside the feed-forward part, f.
    public let feedForward: Int
    /// How many tokens a sample has, s: the padded number, or a mean.
    public let tokens: Double
    /// How many classes a head tells apart, C.
    public let classes: Int
    /// The hidden width of a head, h; nil for a linear head.
    public let headWidth: Int?
    /// [exits]: the layer after which each exit sits, from 1, strictly increasing.
    public let layers: [Int]

    /// Creates a count.
    ///
    /// All sizes are positive, `tokens` is finite, `layers` is not empty; a reader of user input checks these and that
    /// `layers` strictly increases.
    public init(
        width: Int, feedForward: Int, tokens: Double, classes: Int, headWidth: Int? = nil, layers: [Int]
    ) {
        precondition(width > 0 && feedForward > 0 && classes > 0, "sizes are positive")
        precondition(tokens.isFinite && tokens > 0, "a sample has tokens")
        precondition(headWidth.map { $0 > 0 } ?? true, "a hidden layer has a width")
        precondition(!layers.isEmpty && layers[0] > 0, "there is an exit, and none before the first layer")
        precondition(zip(layers, layers.dropFirst()).allSatisfy { $0 < $1 }, "layers strictly increase")
        self.width = width
        self.feedForward = feedForward
        self.tokens = tokens
        self.classes = classes
        self.headWidth = headWidth
        self.layers = layers
    }

    /// The operations of one layer.
    public var ofLayer: Double {
        let (width, feedForward) = (Double(width), Double(feedForward))
        return 8 * tokens * width * width + 4 * tokens * tokens * width + 4 * tokens * width * feedForward
    }

    /// The operations of one head.
    public var ofHead: Double {
        let (width, classes) = (Double(width), Double(classes))
        guard let headWidth else { return 2 * width * classes }
        return 2 * width * Double(headWidth) + 2 * Double(headWidth) * classes
    }

    /// [exits]: the operations up to and including each exit: its layers, its head, and all heads on the way.
    public var cumulative: [Double] {
        layers.enumerated().map { exit, layer in Double(layer) * ofLayer + Double(exit + 1) * ofHead }
    }
}
