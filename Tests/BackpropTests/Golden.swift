import ExitHeads
import Foundation
import Testing

@testable import Backprop

/// What `Resources/make_golden.py` wrote: gradients from PyTorch, optima from scikit-learn.
struct Golden: Decodable {
    struct Gradient: Decodable {
        var l2: Double
        var weight: [Double]
        var bias: [Double]
        var objective: Double
        var weightGradient: [Double]
        var biasGradient: [Double]
    }

    struct Optimum: Decodable {
        var l2: Double
        var objective: Double
        var weight: [Double]
        var bias: [Double]
    }

    struct Case: Decodable {
        var rows: Int
        var width: Int
        var classes: Int
        var features: [Float]
        var labels: [Int32]
        var gradients: [Gradient]
        var optima: [Optimum]

        var denseRows: DenseRows { DenseRows(values: features, width: width) }
        var labelled: LabelledRows { LabelledRows(features: denseRows, labels: labels) }
    }

    var cases: [Case]

    static func read() throws -> Golden {
        let url = try #require(
            Bundle.module.url(forResource: "golden", withExtension: "json", subdirectory: "Resources"))
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    }
}

extension LinearParameters {
    /// Parameters from weights [classes, width] and biases [classes].
    init(weight: [Double], bias: [Double]) {
        self.init(classCount: bias.count, width: weight.count / bias.count)
        for row in bias.indices {
            for column in 0..<width { values[row * (width + 1) + column] = weight[row * width + column] }
            values[row * (width + 1) + width] = bias[row]
        }
    }
}

extension ExitHead {
    /// The head, which is linear.
    var linear: LinearHead {
        get throws {
            guard case .linear(let head) = self else { throw NotLinear() }
            return head
        }
    }

    private struct NotLinear: Error {}
}

/// The Euclidean distance of two vectors over the length of the second.
func relativeDistance(_ left: [Double], _ right: [Double]) -> Double {
    let difference = zip(left, right).map { $0 - $1 }
    return dot(difference, difference).squareRoot() / max(dot(right, right).squareRoot(), .leastNormalMagnitude)
}
