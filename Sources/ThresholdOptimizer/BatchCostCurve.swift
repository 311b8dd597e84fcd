/// The time that one stage of the network takes for a batch, in milliseconds, as a function of the batch size.
///
/// A stage is what lies between two exits: the layers after the exit before it, and its own exit's head. The time is
/// measured at some batch sizes, with straight lines between them. A batch below the smallest measured size takes that
/// size's time: that a smaller one is faster was not measured. Measure size 1, or small batches look dear.
///
/// A reader of a file checks these, with typed errors, before it makes a curve: at least one point, sizes positive and
/// strictly increasing, times finite and positive. Here all of them are preconditions.
public struct BatchCostCurve: Equatable, Sendable {
    /// One measurement.
    public struct Point: Equatable, Sendable {
        /// How many samples the batch has.
        public let batchSize: Int
        /// What the whole batch takes, in milliseconds.
        public let milliseconds: Double

        /// Creates a measurement.
        public init(batchSize: Int, milliseconds: Double) {
            self.batchSize = batchSize
            self.milliseconds = milliseconds
        }
    }

    /// The measurements, the smallest batch first.
    public let points: [Point]

    /// Creates a curve.
    ///
    /// - Parameters:
    ///   - points: at least one, of positive and strictly increasing size, with finite and positive times.
    public init(_ points: [Point]) {
        precondition(!points.isEmpty, "a curve has at least one point")
        precondition(points[0].batchSize > 0, "a batch has at least one sample")
        precondition(
            zip(points, points.dropFirst()).allSatisfy { $0.batchSize < $1.batchSize }, "batch sizes strictly increase")
        precondition(
            points.allSatisfy { $0.milliseconds.isFinite && $0.milliseconds > 0 }, "times are finite and positive")
        self.points = points
    }

    /// The largest batch that was measured; a server splits what is larger.
    public var largestBatch: Int { points[points.count - 1].batchSize }

    /// A stage that runs after this one in the same batch, and both as one: times are added at all sizes measured for either,
    /// up to the smaller of the two largest.
    ///
    /// - Parameters:
    ///   - other: the stage after this one.
    ///   - sign: -1 for a part of this stage that is left out.
    /// - Returns: nil where that leaves nothing, or less.
    /// - Complexity: O(points of both, squared).
    public func adding(_ other: BatchCostCurve, sign: Double = 1) -> BatchCostCurve? {
        let largest = min(largestBatch, other.largestBatch)
        let sizes = Set((points + other.points).map(\.batchSize)).filter { $0 <= largest }.sorted()
        let sum = sizes.map { Point(batchSize: $0, milliseconds: cost(ofBatch: $0) + sign * other.cost(ofBatch: $0)) }
        return sum.allSatisfy { $0.milliseconds > 0 } ? BatchCostCurve(sum) : nil
    }

    /// What a batch takes, in milliseconds; at a measured size the very number that was measured.
    ///
    /// - Parameters:
    ///   - size: in 1...``largestBatch``.
    /// - Complexity: O(points).
    public func cost(ofBatch size: Int) -> Double {
        precondition(size > 0 && size <= largestBatch, "a batch of a size that the measurements cover")
        let place = points.firstIndex { $0.batchSize >= size }!
        let after = points[place]
        guard place > 0, after.batchSize > size else { return after.milliseconds }
        let before = points[place - 1]
        let fraction = Double(size - before.batchSize) / Double(after.batchSize - before.batchSize)
        return before.milliseconds + (after.milliseconds - before.milliseconds) * fraction
    }
}
