import Foundation
import Testing

@testable import Backprop

@Suite("L-BFGS")
struct LBFGSTests {
    /// Runs to the end.
    private func minimize(
        from start: [Double], tolerance: Double = 1e-14, maximumEvaluations: Int = 500,
        precondition: ([Double]) -> [Double] = { $0 }, _ function: ([Double]) -> (Double, [Double])
    ) -> LBFGS {
        var optimizer = LBFGS(start: start, tolerance: tolerance, maximumEvaluations: maximumEvaluations)
        while !optimizer.isFinished {
            let (value, gradient) = function(optimizer.point)
            optimizer.observe(value: value, gradient: gradient, precondition: precondition)
        }
        return optimizer
    }

    @Test("finds the minimum of Rosenbrock's valley")
    func rosenbrock() {
        let result = minimize(from: [-1.2, 1]) { point in
            let (x, y) = (point[0], point[1])
            let value = (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x) + 1
            return (value, [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
        }
        #expect(abs(result.point[0] - 1) < 1e-5)
        #expect(abs(result.point[1] - 1) < 1e-5)
        #expect(result.evaluations < 80)
    }

    @Test("is done in a few steps when the preconditioner is the Hessian")
    func preconditioned() {
        let curvatures = (0..<30).map { Double(1 << ($0 / 2)) }
        func quadratic(_ point: [Double]) -> (Double, [Double]) {
            let value = zip(curvatures, point).reduce(1) { $0 + $1.0 / 2 * ($1.1 - 3) * ($1.1 - 3) }
            return (value, zip(curvatures, point).map { $0 * ($1 - 3) })
        }
        let start = curvatures.map { _ in 0.0 }
        let plain = minimize(from: start, quadratic)
        let preconditioned = minimize(
            from: start, precondition: { zip($0, curvatures).map { $0 / $1 } }, quadratic)
        #expect(preconditioned.ending == .converged)
        #expect(preconditioned.evaluations <= 3)
        #expect(plain.evaluations > 10)
        for value in preconditioned.point { #expect(abs(value - 3) < 1e-6) }
    }

    @Test("says so when it runs out of evaluations, and returns the best point")
    func limited() {
        let result = minimize(from: [-1.2, 1], maximumEvaluations: 5) { point in
            let (x, y) = (point[0], point[1])
            return (
                (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x),
                [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]
            )
        }
        #expect(result.ending == .evaluations)
        #expect(result.evaluations == 5)
        #expect(result.value <= 24.2)
    }

    @Test("stops at the precision of a noisy objective instead of running on")
    func noisy() {
        let result = minimize(from: [3, -2], tolerance: 1e-30) { point in
            let value = 1 + point[0] * point[0] + 10 * point[1] * point[1]
            return (Double(Float(value)), [Double(Float(2 * point[0])), Double(Float(20 * point[1]))])
        }
        #expect(result.isFinished)
        #expect(abs(result.point[0]) < 1e-3)
        #expect(result.evaluations < 200)
    }

    /// A valley whose floor bends, in ten dimensions, with a preconditioner that is only roughly right.
    private static func valley(_ point: [Double]) -> (Double, [Double]) {
        var value = 1.0
        var gradient = [Double](repeating: 0, count: point.count)
        for index in 0..<(point.count - 1) {
            let (x, y) = (point[index], point[index + 1])
            value += (1 - x) * (1 - x) + 20 * (y - x * x) * (y - x * x)
            gradient[index] += -2 * (1 - x) - 80 * x * (y - x * x)
            gradient[index + 1] += 40 * (y - x * x)
        }
        return (value, gradient)
    }

    private static func scale(_ vector: [Double], at anchor: LBFGS.Anchor) -> [Double] {
        zip(vector, anchor.point).map { $0 / (100 + $1) }
    }

    @Test("leaves a rough anchor after six evaluations, however near the optimum")
    func leavesRoughAnchor() {
        let start = (0..<10).map { -1 + 0.1 * Double($0) }
        var optimizer = LBFGS(start: start, startsRoughly: true, tolerance: 1e-12)
        while !optimizer.isFinished {
            let isAtStart = optimizer.evaluations < 6
            #expect(optimizer.anchor.isRough == isAtStart)
            #expect((optimizer.anchor.point == start) == isAtStart)
            let (value, gradient) = Self.valley(optimizer.point)
            optimizer.observe(value: value, gradient: gradient, precondition: Self.scale)
        }
        #expect(optimizer.ending == .converged)
        for value in optimizer.point { #expect(abs(value - 1) < 1e-5) }
    }

    @Test("does not believe a rough preconditioner that nothing is left to gain")
    func doubtsRoughPrediction() {
        // Its steps are next to nothing, and so is the decrease it predicts.
        func precondition(_ vector: [Double], _ anchor: LBFGS.Anchor) -> [Double] {
            vector.map { anchor.isRough ? 1e-20 * $0 : $0 }
        }
        var optimizer = LBFGS(start: [3, -2], startsRoughly: true)
        while !optimizer.isFinished {
            let point = optimizer.point
            optimizer.observe(
                value: 1 + point[0] * point[0] + point[1] * point[1], gradient: point.map { 2 * $0 },
                precondition: precondition)
        }
        #expect(optimizer.ending == .converged)
        #expect(abs(optimizer.point[0]) < 1e-3 && abs(optimizer.point[1]) < 1e-3)
    }

    @Test(
        "goes on to the last bit when it was encoded and decoded at every evaluation", arguments: ["plist", "JSON"],
        [false, true])
    func resumes(format: String, startsRoughly: Bool) throws {
        func reread(_ optimizer: LBFGS) throws -> LBFGS {
            if format == "JSON" {
                return try JSONDecoder().decode(LBFGS.self, from: JSONEncoder().encode(optimizer))
            }
            let encoder = PropertyListEncoder()
            encoder.outputFormat = .binary
            return try PropertyListDecoder().decode(LBFGS.self, from: encoder.encode(optimizer))
        }
        let start = (0..<10).map { -1 + 0.1 * Double($0) }
        var straight = LBFGS(start: start, startsRoughly: startsRoughly, tolerance: 1e-12)
        var resumed = straight
        while !straight.isFinished {
            resumed = try reread(resumed)
            #expect(resumed == straight)
            let (value, gradient) = Self.valley(straight.point)
            straight.observe(value: value, gradient: gradient, precondition: Self.scale)
            resumed.observe(value: value, gradient: gradient, precondition: Self.scale)
        }
        resumed = try reread(resumed)
        #expect(straight.ending == .converged)
        #expect(straight.evaluations > 18, "the history is full and was shifted, after a new beginning")
        #expect(straight.anchor.point != start)
        #expect(resumed == straight)
        #expect(resumed.point.map(\.bitPattern) == straight.point.map(\.bitPattern))
    }

    @Test("refuses a state whose vectors do not fit together")
    func damagedState() throws {
        var optimizer = LBFGS(start: [3, -2])
        optimizer.observe(value: 13, gradient: [6, -4]) { $0 }
        let data = try JSONEncoder().encode(optimizer)
        var state = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        state["gradient"] = Data(count: 8).base64EncodedString()
        let shorter = try JSONSerialization.data(withJSONObject: state)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(LBFGS.self, from: shorter) }
        state["gradient"] = Data(count: 15).base64EncodedString()
        let uneven = try JSONSerialization.data(withJSONObject: state)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(LBFGS.self, from: uneven) }
    }
}

extension LBFGS {
    /// Takes objective and gradient, with a preconditioner that does not depend on the anchor.
    mutating func observe(value: Double, gradient: [Double], precondition: ([Double]) -> [Double]) {
        observe(value: value, gradient: gradient) { vector, _ in precondition(vector) }
    }
}
