import Foundation
import Statistics
import Testing

@testable import Backprop

@Suite("The history of L-BFGS")
struct LBFGSHistoryTests {
    /// A quadratic function in some dimensions, a preconditioner that is not its Hessian, and a walk with steps of no pattern.
    private struct Walk {
        static let dimensions = 23
        private var generator = SplitMix64(seed: 1)
        private let hessian: [[Double]]
        private(set) var point: [Double]

        init() {
            var generator = SplitMix64(seed: 2)
            let root = (0..<Self.dimensions).map { _ in
                (0..<Self.dimensions).map { _ in Double.random(in: -1...1, using: &generator) }
            }
            hessian = (0..<Self.dimensions).map { row in
                (0..<Self.dimensions).map { column in
                    root.reduce(row == column ? 1 : 0) { $0 + $1[row] * $1[column] }
                }
            }
            point = (0..<Self.dimensions).map { _ in Double.random(in: -1...1, using: &generator) }
        }

        var gradient: [Double] { hessian.map { zip($0, point).reduce(0) { $0 + $1.0 * $1.1 } } }

        static func precondition(_ vector: [Double]) -> [Double] {
            vector.enumerated().map { $1 / Double(3 + $0 % 5) }
        }

        /// Moves, and returns the step.
        mutating func move() -> [Double] {
            let step = point.map { _ in Double(Float.random(in: -0.1...0.1, using: &generator)) }
            point = zip(point, step).map { $0 + $1 }
            return step
        }
    }

    /// Minus the inverse Hessian times the gradient, by the two-loop recursion.
    private func twoLoops(
        _ pairs: [(step: [Double], change: [Double])], _ gradient: [Double], gamma: Double
    ) -> [Double] {
        func product(_ left: [Double], _ right: [Double]) -> Double { zip(left, right).reduce(0) { $0 + $1.0 * $1.1 } }
        func add(_ factor: Double, _ source: [Double], _ target: [Double]) -> [Double] {
            zip(source, target).map { factor * $0 + $1 }
        }
        var rest = gradient
        var factors: [Double] = []
        for pair in pairs.reversed() {
            factors.append(product(pair.step, rest) / product(pair.step, pair.change))
            rest = add(-(factors.last ?? 0), pair.change, rest)
        }
        var result = Walk.precondition(rest).map { gamma * $0 }
        for (pair, factor) in zip(pairs, factors.reversed()) {
            let correction = factor - product(pair.change, result) / product(pair.step, pair.change)
            result = add(correction, pair.step, result)
        }
        return result.map { -$0 }
    }

    @Test("leads where the two-loop recursion leads, also when the oldest steps were left behind")
    func direction() throws {
        var walk = Walk()
        var history = LBFGS.History()
        history.use(walk.gradient)
        var pairs: [(step: [Double], change: [Double])] = []
        for move in 0..<40 {
            let old = walk.gradient
            let step = walk.move()
            let gradient = walk.gradient
            let change = zip(gradient, old).map { $0 - $1 }
            // Every fifth is refused, and some are taken after the gradient changed without a step.
            let found = history.remember(
                step: step.map { Float($0) }, change: Walk.precondition(change).map { Float($0) }, gradient: gradient,
                oldGradient: old, least: move % 5 == 4 ? .infinity : 0)
            #expect((found == nil) == (move % 5 == 4))
            if let gamma = found {
                pairs.append((step, change))
                let product = zip(step, change).reduce(0) { $0 + $1.0 * $1.1 }
                let curvature = zip(change, Walk.precondition(change)).reduce(0) { $0 + $1.0 * $1.1 }
                #expect(abs(gamma - product / curvature) <= 1e-5 * gamma)
            }
            #expect(history.count == min(pairs.count, LBFGS.History.length))
            #expect(history.fits(Walk.dimensions) && !history.fits(Walk.dimensions + 1))
            if move % 7 == 3 { history.use(gradient) }
            let expected = twoLoops(pairs.suffix(LBFGS.History.length), gradient, gamma: 0.7)
            let direction = history.direction(Walk.precondition(gradient), gamma: 0.7)
            #expect(relativeDistance(direction, expected) <= 1e-4, "after \(pairs.count) steps")
        }
        #expect(pairs.count > 2 * LBFGS.History.length)
    }

    @Test("is the preconditioner alone before the first step")
    func empty() {
        var history = LBFGS.History()
        history.use([1, -2])
        #expect(history.direction([4, 6], gamma: 0.5) == [-2, -3])
    }

    @Test("is refused where its numbers do not fit together")
    func damaged() throws {
        var history = LBFGS.History()
        history.use([1, -2])
        _ = history.remember(step: [1, 0], change: [2, 0], gradient: [3, -2], oldGradient: [1, -2], least: 0)
        #expect(history.count == 1)
        let data = try JSONEncoder().encode(history)
        #expect(try JSONDecoder().decode(LBFGS.History.self, from: data) == history)
        for (key, value) in [
            ("oldest", 1 as Any), ("oldest", -1), ("steps", Data(count: 4).base64EncodedString()),
            ("products", Data(count: 8).base64EncodedString()), ("products", Data(count: 0).base64EncodedString()),
        ] {
            var state = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
            state[key] = value
            let other = try JSONSerialization.data(withJSONObject: state)
            #expect(throws: DecodingError.self, "\(key)") { try JSONDecoder().decode(LBFGS.History.self, from: other) }
        }
    }
}
