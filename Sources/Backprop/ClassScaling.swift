import LinearAlgebra

/// How much more curvature an objective has in some directions of its classes than in others: a class that is rarely
/// mistaken for another has little.
///
/// `A = mean of w_n (diag(p_n) - p_n p_nᵀ)` is what the blocks of the Hessian would be for features that have the same length
/// everywhere. A Kronecker product `A ⊗ S` with their second moment S is a better preconditioner than S alone where data curve
/// the objective, a worse one where the penalty does, which is the same for all classes. Its square root is between the two:
/// measured on 768 features and six classes it takes a tenth to a seventh less evaluations, with smaller penalties a quarter, as
/// many as a matrix of its own for each direction of `A` with the penalty added would.
struct ClassScaling: Sendable {
    /// The most classes for which it is worth its price.
    static let mostClasses = 64
    /// Directions with less than this share of the mean curvature are treated as if they had that.
    private static let smallestShare: Float = 0.01

    /// [classes, classes]: the inverse of the square root of `A` over its mean curvature; symmetric, the identity along a common
    /// shift of all classes.
    let inverse: [Double]
    private let classCount: Int

    /// - Parameter mean: [classes, classes]: A, or a multiple of it; only entries with column >= row are read.
    init(ofMean mean: [Double], classCount: Int) {
        precondition(mean.count == classCount * classCount && classCount > 1, "a matrix of classes")
        self.classCount = classCount
        let trace = (0..<classCount).reduce(0) { $0 + mean[$1 * classCount + $1] }
        // The constant direction has no curvature: it is given the mean, which leaves it as it is.
        let average = max(trace / Double(classCount - 1), .leastNormalMagnitude)
        let scaled = mean.map { Float($0 / average + 1 / Double(classCount)) }
        let eigen = SymmetricEigen(upperTriangle: scaled, size: classCount)
        var inverse = [Double](repeating: 0, count: mean.count)
        for (index, value) in eigen.values.enumerated() {
            let factor = 1 / Double(max(value, Self.smallestShare)).squareRoot()
            let vector = eigen.vectors[(index * classCount)..<((index + 1) * classCount)].map(Double.init)
            for row in 0..<classCount {
                for column in 0..<classCount {
                    inverse[row * classCount + column] += factor * vector[row] * vector[column]
                }
            }
        }
        self.inverse = inverse
    }

    /// The product with a vector of parameters, class by class.
    ///
    /// - Parameter vector: [classes, stride]
    /// - Complexity: O(classes² * stride).
    func apply(_ vector: [Double]) -> [Double] {
        let stride = vector.count / classCount
        return (0..<classCount).flatMap { row in
            var sum = [Double](repeating: 0, count: stride)
            for column in 0..<classCount {
                addScaled(inverse[row * classCount + column], vector[(column * stride)...], to: &sum)
            }
            return sum
        }
    }

    /// The sum of `w (diag(p) - p pᵀ)` over rows.
    struct Sum {
        private(set) var total: [Double]
        private let classCount: Int

        init(classCount: Int) {
            self.classCount = classCount
            total = Array(repeating: 0, count: classCount * classCount)
        }

        /// Adds a row, scaled so that its mean over directions is a curvature that is known.
        ///
        /// - Parameter logits: [classes]
        mutating func add(logits: UnsafePointer<Float>, meanCurvature: Double) {
            guard meanCurvature > 0 else { return }
            withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * classCount) { memory in
                let scratch = LossScratch(memory.baseAddress!, classes: classCount)
                let probabilities = scratch.first
                _ = scratch.softmax(logits, into: probabilities)
                let squares = (0..<classCount).reduce(0) { $0 + probabilities[$1] * probabilities[$1] }
                guard squares < 1 else { return }
                let scale = meanCurvature * Double(classCount - 1) / (1 - squares)
                for row in 0..<classCount {
                    let own = scale * probabilities[row]
                    total[row * classCount + row] += own
                    for column in row..<classCount { total[row * classCount + column] -= own * probabilities[column] }
                }
            }
        }
    }
}
