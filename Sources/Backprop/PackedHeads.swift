import ExitHeads
import LinearAlgebra

/// Several heads side by side as one Float32 matrix, so that one product serves them all.
struct PackedHeads: Sendable {
    /// [columns, width], columns = heads * classes.
    let weight: [Float]
    /// [columns]
    let bias: [Float]
    let width: Int

    init(_ heads: [LinearParameters]) {
        width = heads[0].width
        var weight: [Float] = []
        var bias: [Float] = []
        for head in heads {
            for row in 0..<head.classCount {
                let start = row * (head.width + 1)
                weight.append(contentsOf: head.values[start..<(start + head.width)].map { Float($0) })
                bias.append(Float(head.values[start + head.width]))
            }
        }
        self.weight = weight
        self.bias = bias
    }

    /// A single saved head.
    init(_ head: LinearHead) {
        weight = head.weight
        bias = head.bias
        width = head.width
    }

    /// `logits = features · weightᵀ + bias`.
    ///
    /// - Parameters:
    ///   - features: [rows, width]
    ///   - logits: [rows, columns]
    @inline(__always)
    func forward(_ features: UnsafePointer<Float>, rows: Int, logits: UnsafeMutablePointer<Float>) {
        let columns = bias.count
        bias.withUnsafeBufferPointer { bias in
            for row in 0..<rows { (logits + row * columns).update(from: bias.baseAddress!, count: columns) }
        }
        weight.withUnsafeBufferPointer {
            BLAS.multiplyTransposed(
                features, $0.baseAddress!, into: logits, rows: rows, columns: columns, inner: width, beta: 1)
        }
    }
}
