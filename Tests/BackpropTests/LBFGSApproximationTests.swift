import Foundation
import Testing

@testable import Backprop

@Suite("L-BFGS with an approximation of the objective")
struct LBFGSApproximationTests {
    private typealias Function = ([Double]) -> (value: Double, gradient: [Double])

    private static let start = (0..<12).map { 2 - 0.3 * Double($0) }

    /// A bowl that is steeper in some directions and grows faster than a parabola; `error` changes its curvature, tilts it and lifts
    /// it.
    private static func bowl(error: Double) -> Function {
        { point in
            var value = 1 + error
            var gradient = [Double](repeating: 0, count: point.count)
            for (index, x) in point.enumerated() {
                let curvature = Double(1 + index * index) * (1 + (index % 2 == 0 ? error : -error))
                value += curvature / 2 * (x - 1) * (x - 1) + x * x * x * x / 4 + error * x
                gradient[index] = curvature * (x - 1) + x * x * x + error
            }
            return (value, gradient)
        }
    }

    /// Runs to the end, and counts how often the objective itself was asked.
    private func minimize(
        _ objective: Function, approximation: Function, tolerance: Double = 1e-8, maximumEvaluations: Int = 500,
        leavingAfter limit: Int = .max
    ) -> (optimizer: LBFGS, exact: Int, isLastExact: Bool) {
        var optimizer = LBFGS(
            start: Self.start, hasApproximation: true, tolerance: tolerance, maximumEvaluations: maximumEvaluations)
        var (exact, isLastExact) = (0, false)
        while !optimizer.isFinished {
            if optimizer.evaluations >= limit { optimizer.leaveApproximation() }
            isLastExact = !optimizer.wantsApproximation
            if isLastExact { exact += 1 }
            let found = (isLastExact ? objective : approximation)(optimizer.point)
            optimizer.observe(value: found.value, gradient: found.gradient) { $0 }
        }
        return (optimizer, exact, isLastExact)
    }

    private func slope(_ function: Function, at point: [Double]) -> Double {
        function(point).gradient.map { $0 * $0 }.reduce(0, +).squareRoot()
    }

    @Test("comes to the optimum of the objective itself, and asks it a few times only", arguments: [0.01, 0.03])
    func corrects(error: Double) {
        let (objective, approximation) = (Self.bowl(error: 0), Self.bowl(error: error))
        let (optimizer, exact, isLastExact) = minimize(objective, approximation: approximation)
        #expect(optimizer.ending == .converged && isLastExact)
        #expect((2...5).contains(exact))
        #expect(optimizer.evaluations > 3 * exact)
        // The approximation's own optimum is far away, in terms of the tolerance.
        #expect(slope(approximation, at: optimizer.point) > 20 * slope(objective, at: optimizer.point))
        #expect(optimizer.value == objective(optimizer.point).value)
        let alone = minimize(objective, approximation: objective)
        #expect(abs(optimizer.value - alone.optimizer.value) <= 3e-8 * alone.optimizer.value)
        #expect(optimizer.evaluations <= alone.optimizer.evaluations + 12)
    }

    @Test(
        "does without an approximation that leads nowhere",
        arguments: ["flat", "tilted", "steep", "not a number", "noisy"])
    func doesWithout(kind: String) {
        let objective = Self.bowl(error: 0)
        var calls = 0.0
        let approximation: Function = { point in
            let (value, gradient) = objective(point)
            switch kind {
            case "flat": return (1, [Double](repeating: 0, count: point.count))
            case "tilted": return (point[0] * 1e6, [1e6] + [Double](repeating: 0, count: point.count - 1))
            case "steep": return (100 * value, gradient.map { 100 * $0 })
            case "not a number": return (.nan, gradient)
            default:
                calls += 1
                return (value + sin(calls), gradient.map { $0 + cos(calls * 7) })
            }
        }
        let optimizer = minimize(objective, approximation: approximation).optimizer
        #expect(optimizer.ending == .converged)
        #expect(slope(objective, at: optimizer.point) <= 1e-2)
        #expect(optimizer.value == objective(optimizer.point).value)
    }

    @Test("ends with the objective itself where it runs out of evaluations", arguments: 1...9)
    func limited(maximum: Int) {
        let objective = Self.bowl(error: 0)
        let (optimizer, _, isLastExact) = minimize(
            objective, approximation: Self.bowl(error: 0.01), maximumEvaluations: maximum)
        #expect(optimizer.ending == .evaluations && optimizer.evaluations == maximum)
        #expect(isLastExact)
        #expect(optimizer.value == objective(optimizer.point).value)
    }

    @Test("goes on with the objective where the approximation is no longer to be had", arguments: [0, 1, 2, 5, 12])
    func leaves(evaluations: Int) {
        let objective = Self.bowl(error: 0)
        let (optimizer, exact, _) = minimize(
            objective, approximation: Self.bowl(error: 0.03), leavingAfter: evaluations)
        #expect(optimizer.ending == .converged)
        #expect(exact >= optimizer.evaluations - evaluations)
        #expect(slope(objective, at: optimizer.point) <= 1e-2)
    }

    @Test("does not end where a rough preconditioner says so of the objective itself")
    func doubtsRoughPrediction() {
        let objective = Self.bowl(error: 0)
        var optimizer = LBFGS(start: Self.start, startsRoughly: true, hasApproximation: true)
        while !optimizer.isFinished {
            let found = (optimizer.wantsApproximation ? Self.bowl(error: 0.01) : objective)(optimizer.point)
            let evaluations = optimizer.evaluations
            // With the rough one, steps are so small that the first check comes at once, and all seems done there.
            optimizer.observe(value: found.value, gradient: found.gradient) { vector, anchor in
                vector.map { anchor.isRough ? (evaluations < 2 ? 1e-7 : 1e-20) * $0 : $0 }
            }
        }
        #expect(optimizer.ending == .converged)
        #expect(slope(objective, at: optimizer.point) <= 1e-2)
    }

    @Test("goes on to the last bit when it was encoded and decoded at every evaluation")
    func resumes() throws {
        let (objective, approximation) = (Self.bowl(error: 0), Self.bowl(error: 0.03))
        var straight = LBFGS(start: Self.start, hasApproximation: true)
        var resumed = straight
        var checks = 0
        while !straight.isFinished {
            resumed = try JSONDecoder().decode(LBFGS.self, from: JSONEncoder().encode(resumed))
            #expect(resumed == straight && resumed.wantsApproximation == straight.wantsApproximation)
            if !straight.wantsApproximation { checks += 1 }
            let found = (straight.wantsApproximation ? approximation : objective)(straight.point)
            straight.observe(value: found.value, gradient: found.gradient) { $0 }
            resumed.observe(value: found.value, gradient: found.gradient) { $0 }
        }
        #expect(checks > 1)
        #expect(straight.ending == .converged && resumed == straight)
        #expect(resumed.point.map(\.bitPattern) == straight.point.map(\.bitPattern))
    }

    @Test("refuses a state whose correction does not fit")
    func damagedState() throws {
        var optimizer = LBFGS(start: Self.start, hasApproximation: true, tolerance: 1)
        optimizer.observe(value: 1, gradient: Self.start.map { 1e-3 * $0 }) { $0 }
        #expect(!optimizer.wantsApproximation)
        optimizer.observe(value: 1e3, gradient: Self.start.map { 1e4 * $0 }) { $0 }
        let data = try JSONEncoder().encode(optimizer)
        for (key, value) in [("slopes", Data(count: 8)), ("numbers", Data(count: 8)), ("slopes", Data(count: 3))] {
            var state = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
            var own = try #require(state["approximation"] as? [String: Any])
            own[key] = value.base64EncodedString()
            state["approximation"] = own
            let other = try JSONSerialization.data(withJSONObject: state)
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(LBFGS.self, from: other) }
        }
    }
}
