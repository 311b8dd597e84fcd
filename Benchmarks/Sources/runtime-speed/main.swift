// What a policy costs where it is served: head and rule of one exit in the plain Swift runtime, beside the matrix products of one
// MiniLM layer (384 wide, 1536 inside) by BLAS on one thread, for a text of 16 tokens, in the same run. The layer's attention,
// activations and normalisations are left out, so the share is an upper bound.

import ExitHeads
import ExitPolicy
import ExitRules
import Foundation
import LinearAlgebra
import Statistics

func numbers(_ count: Int, using generator: inout SplitMix64) -> [Float] {
    (0..<count).map { _ in Float.random(in: -0.1...0.1, using: &generator) }
}

/// Seconds a call, the best of five repeats of many.
func seconds(_ calls: Int, _ body: () -> Void) -> Double {
    (0..<5).map { _ in
        let start = ContinuousClock.now
        for _ in 0..<calls { body() }
        return (ContinuousClock.now - start) / .seconds(1) / Double(calls)
    }.min()!
}

var generator = SplitMix64(seed: 1)
let (width, inner, tokens, classes) = (384, 1536, 16, 6)

let states = numbers(tokens * width, using: &generator)
let square = numbers(width * width, using: &generator)
let wide = numbers(inner * width, using: &generator)
var narrowResult = [Float](repeating: 0, count: tokens * width)
var wideResult = [Float](repeating: 0, count: tokens * inner)
let layer = seconds(50) {
    // Query, key, value and output, then the two products of the feed-forward network.
    for _ in 0..<4 {
        BLAS.multiplyTransposed(states, square, into: &narrowResult, rows: tokens, columns: width, inner: width)
    }
    BLAS.multiplyTransposed(states, wide, into: &wideResult, rows: tokens, columns: inner, inner: width)
    BLAS.multiplyTransposed(wideResult, wide, into: &narrowResult, rows: tokens, columns: width, inner: inner)
}
print(String(format: "products of a MiniLM layer, %d tokens: %.1f us", tokens, 1e6 * layer))

let feature = numbers(width, using: &generator)
let linear = ExitHead.linear(
    LinearHead(weight: numbers(classes * width, using: &generator), bias: numbers(classes, using: &generator)))
let hidden = ExitHead.hidden(
    HiddenHead(
        hiddenWeight: numbers(128 * width, using: &generator), hiddenBias: numbers(128, using: &generator),
        activation: .gelu, weight: numbers(classes * 128, using: &generator),
        bias: numbers(classes, using: &generator)))
let exits = (0..<6).map { exit in
    Policy.Exit(
        index: exit, name: "layer \(exit + 1)", cost: Double(exit + 1), weight: 0.8, threshold: exit < 5 ? 9 : nil)
}
let policy = Policy(
    name: "speed", classes: (0..<classes).map { "class \($0)" },
    rule: .init(kind: .beem, weights: "accuracy", memory: 1, restart: .current), exits: exits, heads: nil,
    certificate: nil, test: nil,
    provenance: .init(recipe: "", features: .init(sha256: ""), splits: nil, seed: 0, tool: "runtime-speed"))

var left = 0
for (name, head) in [("linear", linear), ("hidden, 128 units", hidden)] {
    let sample = seconds(2000) {
        var session = ExitSession(policy)
        for _ in exits {
            let logits = head.logits(feature)
            let prediction = logits.withUnsafeBufferPointer { Prediction(logits: $0) }
            if case .stop(let decision) = session.observe(prediction) { left += decision.exit }
        }
    }
    let exit = sample / Double(exits.count)
    print(
        String(
            format: "%@ head of %d classes and rule: %.2f us an exit, %.2f %% of the layer's products", name, classes,
            1e6 * exit, 100 * exit / layer))
}
precondition(left > 0, "every sample leaves")
