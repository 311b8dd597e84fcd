extension LBFGS {
    /// The last steps, and how the gradient changed along them: what the approximate inverse Hessian is made of.
    ///
    /// With steps S, changes of the gradient Y, R the upper triangle of `Sᵀ Y` and D its diagonal, that is
    ///
    ///     H = gamma P⁻¹ + S R⁻ᵀ (D + gamma Yᵀ P⁻¹ Y) R⁻¹ Sᵀ - gamma (S R⁻ᵀ Yᵀ P⁻¹ + P⁻¹ Y R⁻¹ Sᵀ)
    ///
    /// (Byrd, Nocedal and Schnabel, Representations of quasi-Newton matrices, 1994, theorem 2.2). It is what the two-loop
    /// recursion comes to, but needs S and `P⁻¹ Y` only, once for inner products with the gradient and once for a sum; products
    /// of steps with changes are differences of those with gradients. Vectors are in Float32: directions need no more digits,
    /// and reading them is what finding one takes.
    struct History: Equatable, Sendable {
        /// The most steps that are remembered.
        static let length = 14

        /// [count, parameters]: steps in places of their own, in which new ones take those of the oldest.
        private var steps: [Float] = []
        /// [count, parameters]: P⁻¹ times the changes.
        private var changes: [Float] = []
        /// The place of the oldest step.
        private var oldest = 0
        /// [places of steps, places of changes]: `Sᵀ Y`, of which those count whose step is not newer than the change.
        private var stepProducts = Self.zeros
        /// [places, places]: `Yᵀ P⁻¹ Y`.
        private var changeProducts = Self.zeros
        /// [count]: `Sᵀ g`, g the gradient last taken.
        private var stepsTimesGradient: [Double] = []
        /// [count]: `Yᵀ P⁻¹ g`.
        private var changesTimesGradient: [Double] = []

        private static let zeros = [Double](repeating: 0, count: length * length)

        /// How many steps are remembered.
        var count: Int { stepsTimesGradient.count }

        /// Whether steps are those of so many parameters.
        func fits(_ parameters: Int) -> Bool { steps.count == count * parameters }

        /// Places, from the oldest to the newest.
        private var order: [Int] { (0..<count).map { (oldest + $0) % count } }

        /// Takes the gradient at the point reached, where no step led to it.
        mutating func use(_ gradient: [Double]) {
            stepsTimesGradient = dots(steps, gradient)
            changesTimesGradient = dots(changes, gradient)
        }

        /// Takes the gradient where a step led to, and remembers the step, if the curvature along it is positive beyond rounding.
        ///
        /// - Parameters:
        ///   - step: [parameters]
        ///   - change: [parameters]: of the gradient, times P⁻¹.
        ///   - gradient: where the step ended.
        ///   - oldGradient: where it started.
        ///   - least: what the product of step and change is to be above.
        /// - Returns: the product over the curvature as P sees it, which is what scales P⁻¹; nil if it was not remembered.
        /// - Complexity: O(count * parameters).
        mutating func remember(
            step: [Float], change: [Float], gradient: [Double], oldGradient: [Double], least: Double
        ) -> Double? {
            let (oldSteps, oldChanges) = (stepsTimesGradient, changesTimesGradient)
            use(gradient)
            let own = (step: dots(step, gradient)[0], change: dots(change, gradient)[0])
            let product = own.step - dots(step, oldGradient)[0]
            let curvature = own.change - dots(change, oldGradient)[0]
            guard product > least, curvature > 0 else { return nil }
            let place = count < Self.length ? count : oldest
            for other in 0..<count {
                stepProducts[other * Self.length + place] = stepsTimesGradient[other] - oldSteps[other]
                let curvature = changesTimesGradient[other] - oldChanges[other]
                changeProducts[other * Self.length + place] = curvature
                changeProducts[place * Self.length + other] = curvature
            }
            stepProducts[place * Self.length + place] = product
            changeProducts[place * Self.length + place] = curvature
            if place == count {
                steps += step
                changes += change
                stepsTimesGradient.append(own.step)
                changesTimesGradient.append(own.change)
            } else {
                let range = (place * step.count)..<((place + 1) * step.count)
                steps.replaceSubrange(range, with: step)
                changes.replaceSubrange(range, with: change)
                stepsTimesGradient[place] = own.step
                changesTimesGradient[place] = own.change
                oldest = (oldest + 1) % count
            }
            return product / curvature
        }

        /// Minus the approximate inverse Hessian times the gradient last taken.
        ///
        /// - Parameters:
        ///   - preconditioned: P⁻¹ times that gradient.
        ///   - gamma: what scales P⁻¹.
        /// - Complexity: O(count * parameters).
        /// - Reference: the two-loop recursion, in the tests.
        func direction(_ preconditioned: [Double], gamma: Double) -> [Double] {
            let order = order
            func product(_ step: Int, _ change: Int) -> Double { stepProducts[step * Self.length + change] }
            // R a = Sᵀ g
            var a = stepsTimesGradient
            for (age, change) in order.enumerated().reversed() {
                a[change] /= product(change, change)
                for step in order[..<age] { a[step] -= product(step, change) * a[change] }
            }
            // Rᵀ b = (D + gamma Yᵀ P⁻¹ Y) a - gamma Yᵀ P⁻¹ g
            var b = a
            for place in order {
                var sum = -changesTimesGradient[place]
                for other in order { sum += changeProducts[place * Self.length + other] * a[other] }
                b[place] = product(place, place) * a[place] + gamma * sum
            }
            for (age, change) in order.enumerated() {
                for step in order[..<age] { b[change] -= product(step, change) * b[step] }
                b[change] /= product(change, change)
            }
            var result = preconditioned
            for index in result.indices { result[index] *= -gamma }
            addCombination(b.map { -$0 }, steps, to: &result)
            addCombination(a.map { gamma * $0 }, changes, to: &result)
            return result
        }
    }
}

extension LBFGS.History: Codable {
    private enum CodingKeys: String, CodingKey { case steps, changes, oldest, products }

    /// Reads a history.
    ///
    /// - Throws: `DecodingError`, also for vectors of different lengths.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        steps = try container.decode(PackedNumbers<Float>.self, forKey: .steps).values
        changes = try container.decode(PackedNumbers<Float>.self, forKey: .changes).values
        oldest = try container.decode(Int.self, forKey: .oldest)
        let numbers = try container.decode(PackedNumbers<Double>.self, forKey: .products).values
        let matrix = Self.zeros.count
        let count = (numbers.count - 2 * matrix) / 2
        guard numbers.count == 2 * (matrix + count), (0...Self.length) ~= count, (0..<max(count, 1)) ~= oldest,
            changes.count == steps.count, steps.count % max(count, 1) == 0, count > 0 || steps.isEmpty
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .products, in: container,
                debugDescription: "\(numbers.count) products of \(steps.count) and \(changes.count) numbers")
        }
        stepProducts = Array(numbers[..<matrix])
        changeProducts = Array(numbers[matrix..<(2 * matrix)])
        stepsTimesGradient = Array(numbers[(2 * matrix)..<(2 * matrix + count)])
        changesTimesGradient = Array(numbers[(2 * matrix + count)...])
    }

    /// Writes the history.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(PackedNumbers(steps), forKey: .steps)
        try container.encode(PackedNumbers(changes), forKey: .changes)
        try container.encode(oldest, forKey: .oldest)
        try container.encode(
            PackedNumbers(stepProducts + changeProducts + stepsTimesGradient + changesTimesGradient), forKey: .products)
    }
}
