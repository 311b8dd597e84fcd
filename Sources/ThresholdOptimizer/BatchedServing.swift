/// What early exits save when samples are served in batches, in milliseconds of compute for each sample.
///
/// The cost of an exit in a policy is what one sample pays alone. In a batch the others go on, and a batch with half of
/// its samples usually takes more than half of its time. Two servers show what one can expect:
///
/// - ``shrinking(exitsTaken:)`` is what a naive server does: a batch stays together and goes on with those that are
///   left.
/// - ``regrouped(released:)`` waits at every exit until the survivors fill a batch again. That takes a queue before
///   each stage, and the wait adds to the latency of a sample. The wait is not counted, nor is moving samples about.
///
/// Regrouping never takes longer when a further sample in a batch never costs more than the one before it, the first
/// included: c(1) >= c(2) - c(1) >= c(3) - c(2) and so on up to the batch size, as with a fixed time for each batch and
/// a time for each sample. Among all ways to split n samples into batches of at most B, full batches and one rest
/// majorise the others, and the sum of a concave function that is 0 at 0 is smallest there (Marshall, Olkin and Arnold,
/// "Inequalities", 2nd edition, proposition 3.C.1).
///
/// Where a curve is flat at first and then rises, as when no batch below 4 was measured or when hardware rounds batches
/// up, full batches are not always best, and regrouping may take longer: with c(1) = c(4) = 1 and c(8) = 2, nine
/// samples take 2.25 in batches of 4 and 5, and 3 in batches of 8 and 1.
public struct BatchedServing: Equatable, Sendable {
    /// [exits]: stage i runs from exit i - 1 to exit i, and stage 0 from the input.
    public let stages: [BatchCostCurve]
    /// The most samples that run together.
    public let batchSize: Int
    /// From the input to the last exit without the checks of the others, as a network without early exit runs; nil where
    /// checks were not measured, and the stages are taken together.
    public let whole: BatchCostCurve?

    /// Creates a server.
    ///
    /// - Parameters:
    ///   - stages: [exits], at least one.
    ///   - batchSize: positive, and at most the largest batch of every stage. A reader of user input checks both.
    ///   - whole: what everything takes without the checks of the exits before the last.
    public init(stages: [BatchCostCurve], batchSize: Int, whole: BatchCostCurve? = nil) {
        precondition(!stages.isEmpty, "a network has at least one stage")
        precondition(batchSize > 0, "a batch has at least one sample")
        precondition(stages.allSatisfy { batchSize <= $0.largestBatch }, "every stage was measured at the batch size")
        precondition(whole.map { batchSize <= $0.largestBatch } ?? true, "the whole was measured at the batch size")
        self.stages = stages
        self.batchSize = batchSize
        self.whole = whole
    }

    /// Mean milliseconds for each sample when survivors of an exit are regrouped to full batches before the next stage.
    ///
    /// With n samples that enter a stage, it runs floor(n / B) full batches and one for the rest, if there is one.
    ///
    /// - Parameters:
    ///   - released: [exits], how many samples leave at each exit, as in ``Outcome/released``; not an exit a sample.
    /// - Returns: the time of all batches over the number of samples; 0 without samples.
    /// - Complexity: O(exits * points of a curve).
    public func regrouped(released: [Int]) -> Double {
        precondition(released.count == stages.count, "one count for each exit")
        precondition(released.allSatisfy { $0 >= 0 }, "counts are not negative")
        let samples = released.reduce(0, +)
        guard samples > 0 else { return 0 }
        var entering = samples
        var total = 0.0
        for (stage, leaving) in zip(stages, released) {
            let (full, rest) = entering.quotientAndRemainder(dividingBy: batchSize)
            if full > 0 { total += Double(full) * stage.cost(ofBatch: batchSize) }
            if rest > 0 { total += stage.cost(ofBatch: rest) }
            entering -= leaving
        }
        return total / Double(samples)
    }

    /// Mean milliseconds for each sample when a batch goes on with those of its samples that are left, not regrouped.
    ///
    /// Batches are filled in the order of arrival; the last one may be smaller. A stage that none of a batch enters
    /// takes no time. The order matters: exits that are alike within a batch usually take less.
    ///
    /// - Parameters:
    ///   - exits: [samples], the exit each sample takes, in order of arrival; in 0..<exits.
    /// - Returns: the time of all batches over the number of samples; 0 without samples.
    /// - Complexity: O(samples + batches * exits + exits * B * points of a curve).
    public func shrinking(exitsTaken exits: [Int]) -> Double {
        guard !exits.isEmpty else { return 0 }
        // [exits][B + 1]: how many batches enter a stage with so many samples. Times are added from these counts, large
        // batches first, as in `regrouped`, so equal batches give equal bits.
        var batches = Array(repeating: Array(repeating: 0, count: batchSize + 1), count: stages.count)
        for start in stride(from: 0, to: exits.count, by: batchSize) {
            let batch = exits[start..<min(start + batchSize, exits.count)]
            var leaving = Array(repeating: 0, count: stages.count)
            for exit in batch { leaving[exit] += 1 }
            var left = batch.count
            for stage in stages.indices {
                batches[stage][left] += 1
                left -= leaving[stage]
            }
        }
        var total = 0.0
        for (stage, counts) in zip(stages, batches) {
            for size in (1...batchSize).reversed() where counts[size] > 0 {
                total += Double(counts[size]) * stage.cost(ofBatch: size)
            }
        }
        return total / Double(exits.count)
    }

    /// Mean milliseconds for each sample when all go to the last exit, in batches of B and one for the rest.
    ///
    /// - Complexity: O(exits * points of a curve).
    public func full(samples: Int) -> Double {
        if let whole { return BatchedServing(stages: [whole], batchSize: batchSize).regrouped(released: [samples]) }
        return regrouped(released: Array(repeating: 0, count: stages.count - 1) + [samples])
    }
}
