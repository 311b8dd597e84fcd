import Foundation

/// Softmax cross-entropy of a block of rows, forward and backward in one go.
enum SoftmaxCrossEntropy {
    /// How many rows are worked on at once.
    private static let lanes = 8

    /// Replaces logits by the gradient of the summed loss with respect to them, `softmax(logits) - onehot(label)`.
    ///
    /// Eight rows at a time, their logits class by class in vectors; where there are ``manyClasses``, row by row, eight classes at
    /// a time, which saves turning them. Exponentials and sums are in Float32; the loss of a row,
    /// `ln sum + (top - own)`, is in Double. Logits that are not finite give a loss that is not a number.
    ///
    /// - Parameters:
    ///   - logits: [rows, stride], of which `classes` columns from `offset` on belong to this head; replaced.
    ///   - labels: [rows], in 0..<classes.
    /// - Returns: the sum of the losses, in nats.
    /// - Complexity: O(rows * classes).
    /// - Reference: `naiveLinearHeadGradient`.
    static func forwardBackward(
        logits: UnsafeMutablePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, classes: Int, stride: Int,
        offset: Int
    ) -> Double {
        if classes >= manyClasses {
            return (0..<rows).reduce(0) { sum, row in
                sum + forwardBackwardRow(logits + row * stride + offset, label: Int(labels[row]), classes: classes)
            }
        }
        return withUnsafeTemporaryAllocation(of: SIMD8<Float>.self, capacity: classes + 2) { scratch in
            let scratch = scratch.baseAddress!
            var sums = Sums(classes: classes)
            var row = 0
            while row + lanes <= rows {
                addGroup(
                    logits + row * stride + offset, labels + row, rows: lanes, classes: classes, stride: stride,
                    scratch: scratch, to: &sums)
                row += lanes
            }
            if row < rows {
                addGroup(
                    logits + row * stride + offset, labels + row, rows: rows - row, classes: classes, stride: stride,
                    scratch: scratch, to: &sums)
            }
            return sums.total
        }
    }

    /// From how many classes on a row fills vectors by itself.
    static let manyClasses = 64

    /// One row of many classes.
    private static func forwardBackwardRow(
        _ logits: UnsafeMutablePointer<Float>, label: Int, classes: Int
    ) -> Double {
        let whole = classes - classes % lanes
        func load(_ index: Int) -> SIMD8<Float> {
            UnsafeRawPointer(logits + index).loadUnaligned(as: SIMD8<Float>.self)
        }
        func store(_ values: SIMD8<Float>, _ index: Int) {
            UnsafeMutableRawPointer(logits + index).storeBytes(of: values, as: SIMD8<Float>.self)
        }
        var tops = load(0)
        for index in stride(from: lanes, to: whole, by: lanes) {
            let values = load(index)
            tops.replace(with: values, where: values .> tops)
        }
        var top = tops.max()
        for index in whole..<classes where logits[index] > top { top = logits[index] }
        let own = logits[label]
        var sums = SIMD8<Float>()
        for index in stride(from: 0, to: whole, by: lanes) {
            let exponentials = exponentialOfNonPositive(load(index) - top)
            sums += exponentials
            store(exponentials, index)
        }
        if whole < classes {
            // Lanes without a class take part with logits at the top, and are not added.
            var rest = SIMD8<Float>(repeating: top)
            for index in whole..<classes { rest[index - whole] = logits[index] }
            let exponentials = exponentialOfNonPositive(rest - top)
            for index in whole..<classes {
                logits[index] = exponentials[index - whole]
                sums[index - whole] += exponentials[index - whole]
            }
        }
        let sum = sums.sum()
        let scale = 1 / sum
        for index in stride(from: 0, to: whole, by: lanes) { store(load(index) * scale, index) }
        for index in whole..<classes { logits[index] *= scale }
        logits[label] -= 1
        return log(Double(sum)) + (Double(top) - Double(own))
    }

    /// At most eight rows.
    ///
    /// - Parameters:
    ///   - logits: the first of the rows, at the head's first column.
    ///   - scratch: [classes + 2]: the classes, then each row's largest logit and that of its label.
    @inline(__always)
    private static func addGroup(
        _ logits: UnsafeMutablePointer<Float>, _ labels: UnsafePointer<Int32>, rows: Int, classes: Int, stride: Int,
        scratch: UnsafeMutablePointer<SIMD8<Float>>, to sums: inout Sums
    ) {
        // Lanes without a row have logits 0, and what they add to the loss is taken out below.
        if rows < lanes { scratch.update(repeating: SIMD8(), count: classes + 2) }
        UnsafeMutableRawPointer(scratch).withMemoryRebound(to: Float.self, capacity: lanes * (classes + 2)) { turned in
            for row in 0..<rows {
                let values = logits + row * stride
                var largest = values[0]
                for index in 0..<classes {
                    let value = values[index]
                    turned[index * lanes + row] = value
                    largest = value > largest ? value : largest
                }
                turned[classes * lanes + row] = largest
                turned[(classes + 1) * lanes + row] = values[Int(labels[row])]
            }
        }
        let (top, own) = (scratch[classes], scratch[classes + 1])
        var sum = SIMD8<Float>()
        for index in 0..<classes {
            scratch[index] = exponentialOfNonPositive(scratch[index] - top)
            sum += scratch[index]
        }
        let scale = 1 / sum
        for index in 0..<classes { scratch[index] *= scale }
        UnsafeMutableRawPointer(scratch).withMemoryRebound(to: Float.self, capacity: lanes * classes) { turned in
            for row in 0..<rows {
                for index in 0..<classes { logits[row * stride + index] = turned[index * lanes + row] }
                logits[row * stride + Int(labels[row])] -= 1
            }
        }
        if rows < lanes {
            for row in rows..<lanes { sum[row] = 1 }
        }
        sums.add(sum, distance: SIMD8<Double>(top) - SIMD8<Double>(own))
    }

    /// The sum of losses, with one logarithm for many rows: sums of exponentials are multiplied first.
    private struct Sums {
        private var losses = 0.0
        private var distances = SIMD8<Double>()
        private var products = SIMD8<Double>(repeating: 1)
        private var factors = 0
        /// A sum is from 1 to the number of classes, so that many of them stay below 2^1000.
        private let mostFactors: Int

        init(classes: Int) {
            mostFactors = max(1, Int(1000 / log2(Double(max(classes, 2)) + 1)))
        }

        @inline(__always)
        mutating func add(_ sum: SIMD8<Float>, distance: SIMD8<Double>) {
            distances += distance
            products *= SIMD8<Double>(sum)
            factors += 1
            if factors == mostFactors { takeLogarithms() }
        }

        private mutating func takeLogarithms() {
            for lane in 0..<8 { losses += log(products[lane]) }
            products = SIMD8(repeating: 1)
            factors = 0
        }

        var total: Double {
            var other = self
            other.takeLogarithms()
            for lane in 0..<8 { other.losses += distances[lane] }
            return other.losses
        }
    }
}
