import Foundation
import Testing

@testable import Backprop

/// What `Resources/make_loss_golden.py` wrote: mean losses and their gradients, from PyTorch in Double.
struct LossGolden: Decodable {
    struct Loss: Decodable {
        var kind: String
        var weighted: Bool
        var smoothing: Double
        var temperature: Double
        var loss: Double
        var gradient: [Double]
    }

    struct Case: Decodable {
        var rows: Int
        var classes: Int
        var logits: [Float]
        var labels: [Int32]
        var teacherLogits: [Float]
        var values: [Float]
        var classWeights: [Float]
        var losses: [Loss]

        var targets: HeadTargets { HeadTargets(labels: labels, teacherLogits: teacherLogits, values: values) }

        /// The loss that the golden values are of.
        func loss(_ golden: Loss) -> any HeadLoss {
            let crossEntropy = CrossEntropyLoss(
                classWeights: golden.weighted ? classWeights : [], smoothing: golden.smoothing)
            let distillation = DistillationLoss(temperature: golden.temperature)
            switch golden.kind {
            case "cross-entropy": return crossEntropy
            case "distillation": return distillation
            case "joint": return JointExitLoss(crossEntropy: crossEntropy, distillation: distillation)
            default: return SquaredErrorLoss()
            }
        }

        /// The plain reference: weighted mean and its gradient, at logits that need not be those of the case.
        func naive(_ golden: Loss, logits: [Double]) -> MeanLoss {
            let weights = golden.weighted ? classWeights.map { Double($0) } : Array(repeating: 1, count: classes)
            var (loss, gradient, total) = (0.0, [Double](), 0.0)
            for row in 0..<rows {
                let columns = (row * classes)..<((row + 1) * classes)
                let own = Array(logits[columns])
                let teacher = teacherLogits.isEmpty ? [] : teacherLogits[columns].map { Double($0) }
                let result: NaiveRowLoss
                switch golden.kind {
                case "cross-entropy":
                    result = naiveWeightedCrossEntropy(
                        logits: own, label: Int(labels[row]), classWeights: weights, smoothing: golden.smoothing)
                case "distillation":
                    result = naiveDistillation(logits: own, teacher: teacher, temperature: golden.temperature)
                case "joint":
                    result = naiveJointExit(
                        logits: own, label: Int(labels[row]), teacher: teacher, classWeights: weights,
                        smoothing: golden.smoothing, temperature: golden.temperature)
                default: result = naiveSquaredError(output: own[0], value: Double(values[row]))
                }
                loss += result.loss
                gradient += result.gradient
                total += result.weight
            }
            return MeanLoss(loss: loss / total, gradient: gradient.map { $0 / total })
        }
    }

    var cases: [Case]

    static func read() throws -> LossGolden {
        let url = try #require(
            Bundle.module.url(forResource: "loss_golden", withExtension: "json", subdirectory: "Resources"))
        return try JSONDecoder().decode(LossGolden.self, from: Data(contentsOf: url))
    }
}

/// A mean loss and its gradient with respect to all logits.
struct MeanLoss: Equatable {
    var loss: Double
    var gradient: [Double]

    init(loss: Double, gradient: [Double]) {
        self.loss = loss
        self.gradient = gradient
    }

    /// What a loss says of all rows, divided by the sum of the weights.
    init(_ loss: some HeadLoss, logits: [Float], targets: HeadTargets, classes: Int) {
        var gradient = [Float](repeating: .nan, count: logits.count)
        let sum = loss.evaluate(
            logits: logits, targets: targets, rows: 0..<(logits.count / classes), classes: classes, gradient: &gradient)
        self.init(loss: sum.mean, gradient: gradient.map { Double($0) / sum.weight })
    }

    /// Whether two agree to the precision of the arithmetic. The value is summed in Double: a few hundred ulps of a loss
    /// that comes from numbers as large as `scale`. The gradient is rounded to Float32 once.
    func agrees(with other: MeanLoss, scale: Double) -> Bool {
        agreesInValue(with: other, scale: scale) && agreesInGradient(with: other)
    }

    func agreesInValue(with other: MeanLoss, scale: Double) -> Bool {
        abs(loss - other.loss) <= 256 * .ulpOfOne * scale
    }

    func agreesInGradient(with other: MeanLoss) -> Bool {
        relativeDistance(gradient, other.gradient) <= Double(Float.ulpOfOne)
    }
}

extension LossGolden.Case {
    /// The largest number that losses are made of.
    func scale(_ golden: LossGolden.Loss) -> Double {
        let largest = (logits + teacherLogits + values).reduce(1) { max($0, abs(Double($1))) }
        return max(largest * largest, golden.temperature * largest)
    }

    func mean(_ golden: LossGolden.Loss) -> MeanLoss {
        MeanLoss(loss(golden), logits: logits, targets: targets, classes: classes)
    }
}

extension LossGolden.Loss {
    var mean: MeanLoss { MeanLoss(loss: loss, gradient: gradient) }
}

@Suite("Losses of a head")
struct HeadLossTests {
    @Test("have the value and gradient that PyTorch finds")
    func agreesWithPyTorch() throws {
        for data in try LossGolden.read().cases {
            for golden in data.losses {
                #expect(data.mean(golden).agrees(with: golden.mean, scale: data.scale(golden)), "\(golden)")
            }
        }
    }

    @Test("have the value and gradient of the plain references")
    func agreesWithNaive() throws {
        for data in try LossGolden.read().cases {
            for golden in data.losses {
                let naive = data.naive(golden, logits: data.logits.map { Double($0) })
                #expect(data.mean(golden).agrees(with: naive, scale: data.scale(golden)), "\(golden)")
            }
        }
    }

    @Test("have references whose gradients are the slopes of their values")
    func naiveAgreesWithFiniteDifferences() throws {
        // Central differences err by O(step²) and by the rounding of values as large as 50 over the step.
        let step = 1e-5
        for data in try LossGolden.read().cases {
            let logits = data.logits.map { Double($0) }
            for golden in data.losses {
                let slopes = logits.indices.map { index in
                    func value(_ shift: Double) -> Double {
                        var moved = logits
                        moved[index] += shift
                        return data.naive(golden, logits: moved).loss
                    }
                    return (value(step) - value(-step)) / (2 * step)
                }
                let gradient = data.naive(golden, logits: logits).gradient
                #expect(relativeDistance(slopes, gradient) <= 1e-8, "\(golden)")
                let negative = gradient.map { -$0 }
                #expect(relativeDistance(slopes, negative) > 1)
            }
        }
    }

    /// A mistake that is easily made, as what it makes of value and gradient.
    enum Mistake: String, CaseIterable {
        case sign, sumForMean, noSquaredTemperature, noClassWeights, countForWeights, noSmoothing, reversedDivergence
        case noDivergence

        /// The mean that has the mistake; nil where it makes no difference.
        func made(in data: LossGolden.Case, _ golden: LossGolden.Loss) -> MeanLoss? {
            let right = data.mean(golden)
            func scaled(_ factor: Double) -> MeanLoss {
                MeanLoss(loss: right.loss * factor, gradient: right.gradient.map { $0 * factor })
            }
            func other(_ change: (inout LossGolden.Loss) -> Void) -> MeanLoss {
                var changed = golden
                change(&changed)
                return data.mean(changed)
            }
            let usesTeacher = golden.kind == "distillation" || golden.kind == "joint"
            switch self {
            case .sign: return MeanLoss(loss: right.loss, gradient: right.gradient.map { -$0 })
            case .sumForMean: return scaled(Double(data.rows))
            case .noSquaredTemperature:
                guard golden.kind == "distillation", golden.temperature != 1 else { return nil }
                return scaled(1 / (golden.temperature * golden.temperature))
            case .noClassWeights: return golden.weighted ? other { $0.weighted = false } : nil
            case .countForWeights:
                guard golden.weighted else { return nil }
                let weights = data.labels.reduce(0) { $0 + Double(data.classWeights[Int($1)]) }
                return scaled(weights / Double(data.rows))
            case .noSmoothing: return golden.smoothing > 0 ? other { $0.smoothing = 0 } : nil
            case .reversedDivergence:
                guard golden.kind == "distillation" else { return nil }
                var reversed = data
                swap(&reversed.logits, &reversed.teacherLogits)
                return MeanLoss(loss: reversed.mean(golden).loss, gradient: right.gradient)
            case .noDivergence: return usesTeacher ? other { $0.kind = "cross-entropy" } : nil
            }
        }
    }

    @Test("are told apart from losses with a planted mistake", arguments: Mistake.allCases)
    func mistakesAreCaught(mistake: Mistake) throws {
        var planted = 0
        for data in try LossGolden.read().cases {
            for golden in data.losses {
                guard let wrong = mistake.made(in: data, golden) else { continue }
                planted += 1
                // Not only together: whatever the mistake touches must show by itself.
                let right = data.mean(golden)
                #expect(
                    wrong.loss == right.loss || !wrong.agreesInValue(with: golden.mean, scale: data.scale(golden)),
                    "\(golden)")
                #expect(
                    wrong.gradient == right.gradient || !wrong.agreesInGradient(with: golden.mean), "\(golden)")
                #expect(wrong != right)
            }
        }
        #expect(planted > 0)
    }

    @Test("count a row with weight 2 as two rows, and one with weight 0 not at all")
    func rowWeights() throws {
        for data in try LossGolden.read().cases {
            for golden in data.losses {
                let loss = data.loss(golden)
                let weights: [Float] = (0..<data.rows).map { Float($0 % 3) }
                var weighted = data.targets
                weighted.rowWeights = weights
                let order = (0..<data.rows).flatMap { Array(repeating: $0, count: $0 % 3) }
                let repeated = data.targets.selecting(order, classes: data.classes)
                let repeatedLogits = order.flatMap { data.logits[($0 * data.classes)..<(($0 + 1) * data.classes)] }
                var gradient = [Float](repeating: 0, count: data.logits.count)
                let sum = loss.evaluate(
                    logits: data.logits, targets: weighted, rows: 0..<data.rows, classes: data.classes,
                    gradient: &gradient)
                let expected = loss.evaluate(
                    logits: repeatedLogits, targets: repeated, rows: 0..<order.count, classes: data.classes,
                    gradient: nil)
                #expect(abs(sum.loss - expected.loss) <= 256 * .ulpOfOne * data.scale(golden) * Double(order.count))
                #expect(abs(sum.weight - expected.weight) <= 256 * .ulpOfOne * expected.weight)
                #expect(gradient[..<data.classes].allSatisfy { $0 == 0 }, "the first row has weight 0")
            }
        }
    }

    @Test("do not depend on how rows are cut into blocks, nor on where the gradient goes")
    func blocks() throws {
        for data in try LossGolden.read().cases {
            for golden in data.losses {
                let loss = data.loss(golden)
                var whole = [Float](repeating: 0, count: data.logits.count)
                let sum = loss.evaluate(
                    logits: data.logits, targets: data.targets, rows: 0..<data.rows, classes: data.classes,
                    gradient: &whole)
                #expect(
                    sum
                        == loss.evaluate(
                            logits: data.logits, targets: data.targets, rows: 0..<data.rows, classes: data.classes,
                            gradient: nil))

                // Two heads side by side, of which this is the second; two rows at a time, in place.
                let stride = 2 * data.classes
                var wide = [Float](repeating: 7, count: data.rows * stride)
                for row in 0..<data.rows {
                    for column in 0..<data.classes {
                        wide[row * stride + data.classes + column] = data.logits[row * data.classes + column]
                    }
                }
                var parts = LossSum()
                wide.withUnsafeMutableBufferPointer { wide in
                    for row in Swift.stride(from: 0, to: data.rows, by: 2) {
                        let place = wide.baseAddress! + row * stride + data.classes
                        parts += loss.evaluate(
                            logits: place, targets: data.targets, rows: row..<min(row + 2, data.rows),
                            classes: data.classes, stride: stride, gradient: place)
                    }
                }
                #expect(abs(parts.loss - sum.loss) <= 4 * sum.loss.ulp)
                #expect(abs(parts.weight - sum.weight) <= 4 * sum.weight.ulp)
                for row in 0..<data.rows {
                    for column in 0..<data.classes {
                        #expect(wide[row * stride + column] == 7)
                        #expect(wide[row * stride + data.classes + column] == whole[row * data.classes + column])
                    }
                }
            }
        }
    }

    @Test("of classes have gradients that sum to zero in each row: only differences of logits count")
    func gradientsSumToZero() throws {
        for data in try LossGolden.read().cases where data.classes > 1 {
            for golden in data.losses {
                let gradient = data.mean(golden).gradient
                for row in 0..<data.rows {
                    let own = gradient[(row * data.classes)..<((row + 1) * data.classes)]
                    let size = own.reduce(0) { $0 + abs($1) }
                    #expect(abs(own.reduce(0, +)) <= Double(Float.ulpOfOne) * size)
                }
            }
        }
    }

    @Test("stay finite for logits far apart")
    func extremes() {
        let logits: [Float] = [1e4, -1e4, 3e30, -3e30]
        let targets = HeadTargets(labels: [1, 1], teacherLogits: [-1e4, 1e4, 0, 0])
        for loss: any HeadLoss in [
            CrossEntropyLoss(smoothing: 0.1), DistillationLoss(), DistillationLoss(temperature: 3), JointExitLoss(),
        ] {
            let mean = MeanLoss(loss, logits: logits, targets: targets, classes: 2)
            #expect(mean.loss.isFinite && mean.loss > 0)
            #expect(mean.gradient.allSatisfy { $0.isFinite })
        }
        let own = MeanLoss(CrossEntropyLoss(), logits: [1e4, -1e4], targets: HeadTargets(labels: [1]), classes: 2)
        #expect(own.loss == 2e4)
        #expect(own.gradient == [1, -1])
    }

    @Test("say so when a logit is not a number")
    func notANumber() {
        let targets = HeadTargets(labels: [0], teacherLogits: [0, 0])
        for loss: any HeadLoss in [CrossEntropyLoss(), DistillationLoss(), JointExitLoss()] {
            #expect(MeanLoss(loss, logits: [.nan, 0], targets: targets, classes: 2).loss.isNaN)
        }
    }

    @Test("of a head that repeats its teacher are those of the labels alone")
    func ownTeacher() throws {
        for data in try LossGolden.read().cases where data.classes > 1 {
            let targets = HeadTargets(labels: data.labels, teacherLogits: data.logits)
            let distillation = MeanLoss(
                DistillationLoss(temperature: 2), logits: data.logits, targets: targets, classes: data.classes)
            #expect(distillation.loss == 0)
            #expect(distillation.gradient.allSatisfy { $0 == 0 })
            let joint = MeanLoss(JointExitLoss(), logits: data.logits, targets: targets, classes: data.classes)
            let own = MeanLoss(CrossEntropyLoss(), logits: data.logits, targets: targets, classes: data.classes)
            #expect(joint == own)
        }
    }

    @Test("agree with the Float32 kernel where that computes the same")
    func floatKernel() throws {
        for data in try LossGolden.read().cases where data.classes > 1 {
            var gradient = data.logits
            let loss = SoftmaxCrossEntropy.forwardBackward(
                logits: &gradient, labels: data.labels, rows: data.rows, classes: data.classes, stride: data.classes,
                offset: 0)
            let count = Double(data.rows)
            let found = MeanLoss(loss: loss / count, gradient: gradient.map { Double($0) / count })
            let own = MeanLoss(CrossEntropyLoss(), logits: data.logits, targets: data.targets, classes: data.classes)
            let precision = 8 * Double(Float.ulpOfOne)
            #expect(abs(found.loss - own.loss) <= precision * own.loss)
            #expect(relativeDistance(found.gradient, own.gradient) <= precision)
        }
    }

    @Test("of exits are weighted by their place, later ones more")
    func exitWeights() {
        #expect(JointExitLoss.exitWeights(count: 1) == [1])
        #expect(JointExitLoss.exitWeights(count: 4) == [0.1, 0.2, 0.3, 0.4])
        let many = JointExitLoss.exitWeights(count: 48)
        #expect(abs(many.reduce(0, +) - 1) <= 48 * .ulpOfOne)
        for (index, weight) in many.enumerated() {
            #expect(abs(weight - many[0] * Double(index + 1)) <= 2 * weight.ulp)
        }
    }
}
