import LinearAlgebra
import Safetensors

/// The second moment of standardised features, every row weighted by its curvature.
struct WeightedSecondMoment {
    /// [groups]: [features, features], upper triangle.
    private var sums: [[Float]]
    /// What the sum is divided by: means divide by weights, not by rows.
    private let weight: Float
    /// The mean curvature of the rows.
    let meanCurvature: Double
    /// How that differs between directions of the classes; nil where there is one direction only, or too many.
    let scaling: ClassScaling?

    /// Adds up rows of an objective.
    ///
    /// - Parameters:
    ///   - parameters: where the curvature is measured.
    ///   - maximumRows: the most rows that are taken, evenly spread.
    ///   - group: how many features are together in a group, a multiple of 32, or all.
    /// - Complexity: O(rows * width * (group + classes)).
    init(_ objective: LinearHeadObjective, at parameters: LinearParameters, maximumRows: Int, group: Int) {
        let (width, classes) = (objective.features.width, objective.outputCount)
        let count = min(objective.features.rowCount, maximumRows)
        let sample = RowSample(of: objective, count: count)
        let standardization = sample.standardization
        let product = RowProduct([parameters], standardization: standardization)
        var sum = SecondMoment(width: width, group: group, threads: objective.team.threads)
        var curvature = LossSum()
        let scratch = BlockScratch(rows: sum.blockRows, width: width, columns: classes, hasGradient: false)
        var directions =
            (3...ClassScaling.mostClasses).contains(classes) ? ClassScaling.Sum(classCount: classes) : nil
        var roots = [Float](repeating: 0, count: sum.blockRows)
        for start in stride(from: 0, to: count, by: sum.blockRows) {
            let rows = start..<min(start + sum.blockRows, count)
            sample.withRows(rows) { pointers in
                product.forEachTile(of: pointers, scratch: scratch) { own, tile in
                    product.forward(tile, rows: own.count, logits: scratch.logits)
                    for (index, row) in own.enumerated() {
                        let source = sample.source(start + row)
                        let own = objective.loss.curvature(
                            logits: scratch.logits + index * classes, targets: objective.targets, row: source,
                            scale: objective.targets.weight(ofRow: source), classes: classes)
                        curvature += own
                        directions?.add(logits: scratch.logits + index * classes, meanCurvature: own.loss)
                        roots[row] = Float(own.loss.squareRoot())
                    }
                }
                pointers.copy(
                    shiftedBy: standardization.mean, scaledBy: standardization.inverseDeviation, factors: roots,
                    into: scratch.features)
            }
            sum.add(scratch.features, rows: rows.count)
        }
        sums = sum.blocks()
        weight = Float(curvature.weight > 0 ? curvature.weight : Double(count))
        meanCurvature = curvature.weight > 0 ? curvature.mean : 0
        scaling = directions.map { ClassScaling(ofMean: $0.total, classCount: classes) }
    }

    /// The sum of the diagonal.
    var trace: Float {
        sums.reduce(0) { total, sum in
            let count = Int(Double(sum.count).squareRoot())
            return (0..<count).reduce(total) { $0 + sum[$1 * count + $1] / weight }
        }
    }

    /// Gives away the moment of a group, scaled, with a number added to its diagonal: [count, count], upper triangle.
    mutating func take(_ group: Int, count: Int, scale: Float, ridge: Float) -> [Float] {
        // The memory changes hands.
        var block: [Float] = []
        swap(&block, &sums[group])
        let factor = scale / weight
        block.withUnsafeMutableBufferPointer { block in
            for row in 0..<count {
                for index in (row * count + row)..<((row + 1) * count) { block[index] *= factor }
                block[row * count + row] += ridge
            }
        }
        return block
    }
}
