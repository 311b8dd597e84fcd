import Foundation
import Testing

@testable import Backprop

/// What `Resources/make_optimizer_golden.py` wrote: trajectories, rates and clipped gradients, from PyTorch in Double.
struct OptimizerGolden: Decodable {
    struct Trajectory: Decodable {
        var kind: String
        var learningRate: Double
        var momentum: Double?
        var nesterov: Bool?
        var beta1: Double?
        var beta2: Double?
        var weightDecay: Double
        var shape: LearningRateSchedule.Shape
        /// 0 for none.
        var maximumNorm: Double
        /// [steps, parameters]: the parameters after each step.
        var path: [[Double]]
    }

    struct Schedule: Decodable {
        var shape: LearningRateSchedule.Shape
        var warmupSteps: Int
        /// [steps + 1]
        var rates: [Double]
    }

    struct Clipping: Decodable {
        var gradient: [Float]
        var maximumNorm: Double
        var norm: Double
        var clipped: [Double]
    }

    /// How many of the parameters decay, from the first on.
    var weights: Int
    var warmupSteps: Int
    var start: [Float]
    /// [steps, parameters]
    var gradients: [[Float]]
    var trajectories: [Trajectory]
    var schedules: [Schedule]
    var clipping: [Clipping]

    static func read() throws -> OptimizerGolden {
        let url = try #require(
            Bundle.module.url(forResource: "optimizer_golden", withExtension: "json", subdirectory: "Resources"))
        return try JSONDecoder().decode(OptimizerGolden.self, from: Data(contentsOf: url))
    }

    /// The steps of PyTorch's trajectory, taken by our own optimiser in `Scalar`.
    func path<Scalar: TrainableScalar>(_ settings: Trajectory, in type: Scalar.Type = Float.self) -> [[Scalar]] {
        let decayed = DecayedParameters([0..<weights])
        if settings.kind == "adamw" {
            return path(
                settings,
                AdamWOptimizer<Scalar>(
                    parameterCount: start.count, beta1: settings.beta1!, beta2: settings.beta2!,
                    weightDecay: settings.weightDecay, decayed: decayed))
        }
        return path(
            settings,
            SGDOptimizer<Scalar>(
                parameterCount: start.count, momentum: settings.momentum!, isNesterov: settings.nesterov!,
                weightDecay: settings.weightDecay, decayed: decayed))
    }

    private func path<Optimizer: GradientOptimizer>(_ settings: Trajectory, _ optimizer: Optimizer)
        -> [[Optimizer.Scalar]]
    {
        var optimizer = optimizer
        let schedule = LearningRateSchedule(
            peak: settings.learningRate, shape: settings.shape, stepCount: gradients.count, warmupSteps: warmupSteps)
        var parameters = start.map { Optimizer.Scalar($0) }
        return gradients.enumerated().map { step, gradient in
            var gradient = gradient.map { Optimizer.Scalar($0) }
            if settings.maximumNorm > 0 { GradientClipping.clip(&gradient, maximumNorm: settings.maximumNorm) }
            // Without a shape the rate is constant from the first step on.
            let rate = settings.shape == .constant ? settings.learningRate : schedule.rate(atStep: step)
            optimizer.update(&parameters, gradient: gradient, learningRate: rate)
            return parameters
        }
    }

    /// Whether trajectories agree to the precision of `Scalar`: each step rounds parameter and direction some 8 times, and
    /// momentum passes the rounding of directions on to later steps. The file has 12 digits.
    static func agrees<Scalar: TrainableScalar>(_ found: [[Scalar]], _ expected: [[Double]]) -> Bool {
        let scale = expected.joined().reduce(1) { max($0, abs($1)) }
        return zip(found, expected).enumerated().allSatisfy { step, pair in
            let tolerance = (Double(step + 1) * 8 * Double(Scalar.ulpOfOne) / 2 + 1e-11) * scale
            return zip(pair.0, pair.1).allSatisfy { abs(Double($0) - $1) <= tolerance }
        }
    }
}

@Suite("Optimisers")
struct OptimizerTests {
    @Test("take the steps that PyTorch's take")
    func agreesWithPyTorch() throws {
        let golden = try OptimizerGolden.read()
        for settings in golden.trajectories {
            #expect(settings.path.count == 20)
            #expect(OptimizerGolden.agrees(golden.path(settings), settings.path), "\(settings)")
            #expect(OptimizerGolden.agrees(golden.path(settings, in: Double.self), settings.path), "\(settings)")
        }
    }

    @Test(
        "are told apart from optimisers with a planted mistake",
        arguments: ["sign", "rate", "momentum", "nesterov", "decay", "biases", "clipping", "schedule", "beta2"])
    func mistakesAreCaught(mistake: String) throws {
        var golden = try OptimizerGolden.read()
        var planted = 0
        for settings in golden.trajectories {
            var wrong = settings
            switch mistake {
            case "sign": wrong.learningRate *= -1
            case "rate": wrong.learningRate *= 1.001
            case "momentum": wrong.momentum = settings.momentum.map { $0 == 0 ? 0.001 : $0 - 0.001 }
            case "nesterov": wrong.nesterov = false
            case "decay": wrong.weightDecay = 0
            case "biases": golden.weights = settings.weightDecay > 0 ? golden.start.count : golden.weights
            case "clipping": wrong.maximumNorm = 0
            case "schedule": wrong.shape = .constant
            default: wrong.beta2 = settings.beta2.map { $0 - 0.001 }
            }
            let applies =
                switch mistake {
                case "momentum": settings.momentum != nil
                case "nesterov": settings.nesterov == true
                case "decay", "biases": settings.weightDecay > 0
                case "clipping": settings.maximumNorm > 0
                case "schedule": settings.shape != .constant
                case "beta2": settings.beta2 != nil
                default: true
                }
            guard applies else { continue }
            planted += 1
            if mistake == "sign" {
                // A schedule takes no negative rate: turn the gradients instead.
                wrong.learningRate *= -1
                var turned = golden
                turned.gradients = golden.gradients.map { $0.map { -$0 } }
                #expect(!OptimizerGolden.agrees(turned.path(wrong), settings.path))
            } else {
                #expect(!OptimizerGolden.agrees(golden.path(wrong), settings.path), "\(settings)")
            }
        }
        #expect(planted > 0)
    }

    /// Steps on `sum_i curvature_i / 2 (x_i - target_i)²`.
    private func descend(
        _ optimizer: inout some GradientOptimizer<Float>, from start: [Float], curvatures: [Float], target: [Float],
        schedule: LearningRateSchedule
    ) -> [Float] {
        var point = start
        for step in 0..<schedule.stepCount {
            let gradient = point.indices.map { curvatures[$0] * (point[$0] - target[$0]) }
            optimizer.update(&point, gradient: gradient, learningRate: schedule.rate(atStep: step))
        }
        return point
    }

    @Test("find the minimum of a quadratic")
    func quadratic() {
        let curvatures: [Float] = [1, 4, 10, 0.5]
        let target: [Float] = [3, -2, 0.5, 1]
        var adamW = AdamWOptimizer<Float>(parameterCount: 4)
        let cosine = LearningRateSchedule(peak: 0.1, shape: .cosine, stepCount: 1000, warmupSteps: 20)
        let first = descend(
            &adamW, from: [0, 0, 0, 0], curvatures: curvatures, target: target, schedule: cosine)
        for (found, wanted) in zip(first, target) { #expect(abs(found - wanted) < 1e-4) }
        for isNesterov in [false, true] {
            var sgd = SGDOptimizer<Float>(parameterCount: 4, momentum: 0.9, isNesterov: isNesterov)
            let constant = LearningRateSchedule(peak: 0.05, shape: .constant, stepCount: 1000)
            let point = descend(
                &sgd, from: [0, 0, 0, 0], curvatures: curvatures, target: target, schedule: constant)
            // The roots of slow directions are about 0.95 a step: 1000 steps end at Float32's precision.
            for (found, wanted) in zip(point, target) { #expect(abs(found - wanted) <= 16 * wanted.magnitude.ulp) }
        }
    }

    @Test("go down Rosenbrock's valley: AdamW")
    func rosenbrock() {
        var optimizer = AdamWOptimizer<Float>(parameterCount: 2, beta2: 0.99)
        let schedule = LearningRateSchedule(peak: 0.05, shape: .linear, stepCount: 5000)
        var point: [Float] = [-1.2, 1]
        for step in 0..<schedule.stepCount {
            let (x, y) = (point[0], point[1])
            optimizer.update(
                &point, gradient: [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
                learningRate: schedule.rate(atStep: step))
        }
        #expect(abs(point[0] - 1) < 1e-3)
        #expect(abs(point[1] - 1) < 2e-3)
    }

    /// Heavy ball on `x² / 2`: `x_t = (1 + m - r) x_{t-1} - m x_{t-2}`, with `x_0 = 1` and `x_1 = 1 - r`. So
    /// `x_t = A a^t + B b^t` with the roots of `z² - (1 + m - r) z + m`, real or a complex pair of size `√m`.
    @Test(
        "move on a parabola as the closed form says: momentum",
        arguments: [(0.3, 0.1), (0.3, 0.001), (0.5, 0.05), (0.9, 0.1), (0.5, 1.2)])
    func closedForm(momentum: Double, rate: Double) {
        let middle = (1 + momentum - rate) / 2
        let discriminant = middle * middle - momentum
        func expected(_ step: Double) -> Double {
            if discriminant > 0 {
                let (high, low) = (middle + discriminant.squareRoot(), middle - discriminant.squareRoot())
                let share = (1 - rate - low) / (high - low)
                return share * pow(high, step) + (1 - share) * pow(low, step)
            }
            let size = momentum.squareRoot()
            let angle = acos(middle / size)
            let share = ((1 - rate) / size - cos(angle)) / sin(angle)
            return pow(size, step) * (cos(angle * step) + share * sin(angle * step))
        }
        var optimizer = SGDOptimizer<Float>(parameterCount: 1, momentum: momentum)
        var point: [Float] = [1]
        for step in 1...30 {
            optimizer.update(&point, gradient: point, learningRate: rate)
            #expect(abs(Double(point[0]) - expected(Double(step))) <= 4 * Double(step) * Double(Float.ulpOfOne))
        }
    }

    @Test("look ahead on a parabola as the closed form says: Nesterov")
    func closedFormNesterov() {
        // The velocity before a step is v; the parameter moves by -r (g + m (m v + g)), the velocity becomes m v + g.
        // As a matrix on (x, v): its powers are the closed form.
        let (rate, curvature, momentum) = (0.1, 1.0, 0.5)
        let matrix = [
            [1 - rate * curvature * (1 + momentum), -rate * momentum * momentum], [curvature, momentum],
        ]
        let trace = matrix[0][0] + matrix[1][1]
        let determinant = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]
        let root = (trace * trace / 4 - determinant).squareRoot()
        let (high, low) = (trace / 2 + root, trace / 2 - root)
        let share = (matrix[0][0] - low) / (high - low)
        var optimizer = SGDOptimizer<Float>(parameterCount: 1, momentum: momentum, isNesterov: true)
        var point: [Float] = [1]
        for step in 1...30 {
            optimizer.update(&point, gradient: [Float(curvature) * point[0]], learningRate: rate)
            let expected = share * pow(high, Double(step)) + (1 - share) * pow(low, Double(step))
            #expect(abs(Double(point[0]) - expected) <= 4 * Double(step) * Double(Float.ulpOfOne))
        }
    }

    @Test("begin with a step of the learning rate, whatever the gradient's size: AdamW")
    func firstStep() {
        var optimizer = AdamWOptimizer<Float>(parameterCount: 4, epsilon: 1e-30)
        var parameters: [Float] = [0, 0, 0, 0]
        optimizer.update(&parameters, gradient: [1e-6, -3, 4e5, 0], learningRate: 0.25)
        for (found, wanted) in zip(parameters, [-0.25, 0.25, -0.25, 0] as [Float]) {
            #expect(abs(found - wanted) <= 4 * Float.ulpOfOne * 0.25)
        }
    }

    @Test("shrink weights and leave biases alone where there is no gradient: AdamW")
    func decay() {
        var optimizer = AdamWOptimizer<Float>(
            parameterCount: 4, weightDecay: 0.5, decayed: DecayedParameters([0..<1, 2..<3]))
        var parameters: [Float] = [1, 1, -2, 1]
        for _ in 0..<10 { optimizer.update(&parameters, gradient: [0, 0, 0, 0], learningRate: 0.1) }
        let kept = Float(pow(0.95, 10))
        #expect(abs(parameters[0] - kept) <= 20 * Float.ulpOfOne * kept)
        #expect(abs(parameters[2] + 2 * kept) <= 40 * Float.ulpOfOne * kept)
        #expect(parameters[1] == 1 && parameters[3] == 1)
    }

    /// Trains 30 steps, saving and restoring after 11 of them if told so.
    private func train<Optimizer: GradientOptimizer<Float>>(
        _ optimizer: Optimizer, interrupted: Bool
    ) throws -> (parameters: [Float], optimizer: Optimizer) {
        var optimizer = optimizer
        let schedule = LearningRateSchedule(peak: 0.05, stepCount: 30, warmupSteps: 4)
        var parameters = (0..<12).map { sin(Float($0)) }
        for step in 0..<30 {
            if interrupted, step == 11 {
                let saved = try JSONEncoder().encode(optimizer)
                let restored = try JSONDecoder().decode(Optimizer.self, from: saved)
                #expect(restored == optimizer)
                optimizer = restored
            }
            // Tiny gradients too, whose squares are subnormal or nothing.
            let gradient = parameters.indices.map {
                $0 == 0 ? -1e-30 : ($0 == 1 ? 1e-20 : sin(7 * parameters[$0] + Float(step)))
            }
            optimizer.update(&parameters, gradient: gradient, learningRate: schedule.rate(atStep: optimizer.stepCount))
        }
        return (parameters, optimizer)
    }

    @Test("go on after a restart as if there had been none, to the last bit")
    func checkpoints() throws {
        let adamW = AdamWOptimizer<Float>(parameterCount: 12, weightDecay: 0.1, decayed: DecayedParameters([0..<8]))
        let once = try train(adamW, interrupted: false)
        let twice = try train(adamW, interrupted: true)
        #expect(once.parameters.map(\.bitPattern) == twice.parameters.map(\.bitPattern))
        #expect(once.optimizer.firstMoment.map(\.bitPattern) == twice.optimizer.firstMoment.map(\.bitPattern))
        #expect(once.optimizer.secondMoment.map(\.bitPattern) == twice.optimizer.secondMoment.map(\.bitPattern))
        #expect(once.optimizer.stepCount == 30 && twice.optimizer.stepCount == 30)
        for isNesterov in [false, true] {
            let sgd = SGDOptimizer<Float>(parameterCount: 12, isNesterov: isNesterov, weightDecay: 0.1)
            let once = try train(sgd, interrupted: false)
            let twice = try train(sgd, interrupted: true)
            #expect(once.parameters.map(\.bitPattern) == twice.parameters.map(\.bitPattern))
            #expect(once.optimizer.velocity.map(\.bitPattern) == twice.optimizer.velocity.map(\.bitPattern))
        }
    }

    @Test("would not go on the same without their state")
    func stateMatters() throws {
        let golden = try OptimizerGolden.read()
        var kept = AdamWOptimizer<Float>(parameterCount: golden.start.count)
        var (parameters, other) = (golden.start, golden.start)
        kept.update(&parameters, gradient: golden.gradients[0], learningRate: 0.1)
        other = parameters
        var fresh = AdamWOptimizer<Float>(parameterCount: golden.start.count)
        kept.update(&parameters, gradient: golden.gradients[1], learningRate: 0.1)
        fresh.update(&other, gradient: golden.gradients[1], learningRate: 0.1)
        #expect(parameters != other)
    }

    @Test("refuse a saved state that does not hold together")
    func badState() throws {
        func changed(_ optimizer: some GradientOptimizer, _ key: String, _ value: Any) throws -> Data {
            var object = try #require(
                try JSONSerialization.jsonObject(with: JSONEncoder().encode(optimizer)) as? [String: Any])
            object[key] = value
            return try JSONSerialization.data(withJSONObject: object)
        }
        let adamW = AdamWOptimizer<Float>(parameterCount: 3)
        let sgd = SGDOptimizer<Float>(parameterCount: 3)
        // Two numbers as they are packed, where there are three parameters.
        let short = Data(count: 2 * MemoryLayout<Float>.size).base64EncodedString()
        for (key, value) in [
            ("secondMoment", [0, 0]), ("secondMoment", short), ("stepCount", -1), ("decayed", [[0, 4]]),
            ("decayed", [[0, 2], [1, 3]]),
        ] as [(String, Any)] {
            let data = try changed(adamW, key, value)
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(AdamWOptimizer<Float>.self, from: data) }
        }
        for (key, value) in [("velocity", [0, 0]), ("velocity", short), ("stepCount", -1), ("decayed", [[2, 4]])]
            as [(String, Any)]
        {
            let data = try changed(sgd, key, value)
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(SGDOptimizer<Float>.self, from: data) }
        }
    }
}

@Suite("Gradient clipping")
struct GradientClippingTests {
    @Test("does what PyTorch's does")
    func agreesWithPyTorch() throws {
        for golden in try OptimizerGolden.read().clipping {
            var gradient = golden.gradient
            let norm = GradientClipping.clip(&gradient, maximumNorm: golden.maximumNorm)
            #expect(abs(norm - golden.norm) <= 8 * golden.norm.ulp)
            #expect(relativeDistance(gradient.map { Double($0) }, golden.clipped) <= Double(Float.ulpOfOne))
        }
    }

    @Test("shortens to the norm and keeps the direction")
    func shortens() {
        var gradient: [Float] = [30, -40]
        #expect(GradientClipping.clip(&gradient, maximumNorm: 5) == 50)
        #expect(abs(gradient[0] - 3) < 1e-6 && abs(gradient[1] + 4) < 1e-6)
    }

    @Test("leaves short gradients as they are, to the last bit, and zero")
    func leaves() {
        var short: [Float] = [0.3, -0.4]
        #expect(abs(GradientClipping.clip(&short, maximumNorm: 1) - 0.5) < 1e-7)
        #expect(short == [0.3, -0.4])
        var zero: [Float] = [0, 0]
        #expect(GradientClipping.clip(&zero, maximumNorm: 1) == 0)
        #expect(zero == [0, 0])
    }

    @Test("does not overflow where Float32 squares would")
    func large() {
        var gradient: [Float] = [3e30, 4e30]
        let norm = GradientClipping.clip(&gradient, maximumNorm: 1)
        #expect(abs(norm - 5e30) <= 5e30 * Double(Float.ulpOfOne))
        #expect(abs(gradient[0] - 0.6) <= 4 * Float.ulpOfOne && abs(gradient[1] - 0.8) <= 4 * Float.ulpOfOne)
    }

    @Test("tells of a gradient that is not finite by its norm")
    func notFinite() {
        var gradient: [Float] = [1, .infinity]
        #expect(GradientClipping.clip(&gradient, maximumNorm: 1) == .infinity)
        #expect(gradient == [1, .infinity])
        gradient = [.nan, 1]
        #expect(GradientClipping.clip(&gradient, maximumNorm: 1).isNaN)
        #expect(gradient[1] == 1)
    }
}
