import Statistics
import Testing

@testable import ThresholdOptimizer

@Suite("What early exits save when samples are served in batches")
struct BatchedServingTests {
    @Test("a case small enough to check by hand")
    func byHand() {
        // Fixed time 1 and one millisecond a sample; the second stage takes twice that.
        let serving = BatchedServing(stages: [.line(1, 1, to: 2), .line(2, 2, to: 2)], batchSize: 2)
        let exits = [0, 1, 1, 0, 1]
        // First stage: batches of 2, 2, 1 take 3 + 3 + 2. Second: 1, 1, 1 take 4 each, regrouped 2, 1 take 6 + 4.
        #expect(serving.shrinking(exitsTaken: exits) == 20.0 / 5)
        #expect(serving.regrouped(released: [2, 3]) == 18.0 / 5)
        #expect(serving.full(samples: 5) == 24.0 / 5)
    }

    @Test("without early exit, checks that were measured are not made")
    func whole() {
        let stages = [BatchCostCurve.line(1, 1, to: 2), .line(2, 2, to: 2)]
        let serving = BatchedServing(stages: stages, batchSize: 2, whole: .line(2.5, 3, to: 2))
        // Batches of 2, 2, 1 take 8.5 + 8.5 + 5.5.
        #expect(serving.full(samples: 5) == 22.5 / 5)
        #expect(serving.regrouped(released: [2, 3]) == 18.0 / 5, "who leaves early is checked")
    }

    @Test("agrees with a server that is simulated sample by sample, on 2000 random cases")
    func simulation() {
        var generator = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            let scenario = Scenario(using: &generator) { .anything(upTo: $0, using: &$1) }
            let serving = scenario.serving
            let (regrouped, shrinking) = scenario.simulated
            #expect(close(serving.regrouped(released: scenario.released), regrouped))
            #expect(close(serving.shrinking(exitsTaken: scenario.exits), shrinking))
        }
    }

    @Test("when all go to the last exit, both servers take just what the full network takes")
    func never() {
        var generator = SplitMix64(seed: 4)
        for _ in 0..<500 {
            let scenario = Scenario(using: &generator) { .anything(upTo: $0, using: &$1) }
            let (serving, samples, last) = (scenario.serving, scenario.exits.count, scenario.serving.stages.count - 1)
            let full = serving.full(samples: samples)
            #expect(serving.shrinking(exitsTaken: Array(repeating: last, count: samples)) == full)
            #expect(serving.regrouped(released: Array(repeating: 0, count: last) + [samples]) == full)
        }
    }

    @Test("when a batch takes k milliseconds for each sample, both take k times the mean number of stages")
    func proportional() {
        var generator = SplitMix64(seed: 5)
        for _ in 0..<500 {
            let each = Double.random(in: 0.1...3, using: &generator)
            let scenario = Scenario(using: &generator) { size, _ in .line(0, each, to: size) }
            let stages = Double(scenario.exits.reduce(0) { $0 + $1 + 1 }) / Double(scenario.exits.count)
            #expect(close(scenario.serving.regrouped(released: scenario.released), each * stages))
            #expect(close(scenario.serving.shrinking(exitsTaken: scenario.exits), each * stages))
        }
    }

    @Test("regrouping takes no longer when a further sample never costs more than the one before, on 5000 random cases")
    func concave() {
        var generator = SplitMix64(seed: 6)
        var shorter = 0
        for round in 0..<5000 {
            let scenario = Scenario(using: &generator) { size, generator in
                guard round.isMultiple(of: 2) else { return .concave(upTo: size, using: &generator) }
                let fixed = Double.random(in: 0.1...5, using: &generator)
                return .line(fixed, Double.random(in: 0.1...2, using: &generator), to: size)
            }
            let regrouped = scenario.serving.regrouped(released: scenario.released)
            let shrinking = scenario.serving.shrinking(exitsTaken: scenario.exits)
            #expect(regrouped <= shrinking * (1 + 1e-13))
            if regrouped < shrinking * (1 - 1e-9) { shorter += 1 }
        }
        #expect(shorter > 1000)
    }

    @Test("regrouping can take longer when the curve is flat before it rises, as the documentation says")
    func flatThenRising() {
        let curve = BatchCostCurve([.init(batchSize: 4, milliseconds: 1), .init(batchSize: 8, milliseconds: 2)])
        let serving = BatchedServing(stages: [curve, curve], batchSize: 8)
        // Two full batches take 4; then batches of 4 and 5 take 1 and 1.25, regrouped 8 and 1 take 2 and 1.
        let exits = (0..<16).map { [0, 1, 2, 3, 8, 9, 10, 11, 12].contains($0) ? 1 : 0 }
        #expect(serving.shrinking(exitsTaken: exits) == 6.25 / 16)
        #expect(serving.regrouped(released: [7, 9]) == 7.0 / 16)
    }

    @Test("samples served one by one: both servers are the same to the last bit")
    func batchesOfOne() {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<500 {
            let scenario = Scenario(using: &generator) { .anything(upTo: $0, using: &$1) }
            let serving = BatchedServing(stages: scenario.serving.stages, batchSize: 1)
            #expect(
                serving.shrinking(exitsTaken: scenario.exits) == serving.regrouped(released: scenario.released))
        }
    }

    @Test("the order of samples within a batch does not matter")
    func order() {
        var generator = SplitMix64(seed: 8)
        for _ in 0..<300 {
            let scenario = Scenario(using: &generator) { .anything(upTo: $0, using: &$1) }
            let size = scenario.serving.batchSize
            var exits = scenario.exits
            for start in stride(from: 0, to: exits.count, by: size) {
                exits[start..<min(start + size, exits.count)].shuffle(using: &generator)
            }
            #expect(
                scenario.serving.shrinking(exitsTaken: exits)
                    == scenario.serving.shrinking(exitsTaken: scenario.exits))
        }
    }

    @Test("without samples nothing takes any time")
    func empty() {
        let serving = BatchedServing(stages: [.line(1, 1, to: 4), .line(1, 1, to: 4)], batchSize: 4)
        #expect(serving.regrouped(released: [0, 0]) == 0)
        #expect(serving.shrinking(exitsTaken: []) == 0)
        #expect(serving.full(samples: 0) == 0)
    }

    /// Whether two times are the same but for rounding.
    func close(_ first: Double, _ second: Double) -> Bool { abs(first - second) <= 1e-12 * max(first, second) }
}

/// A server and the exits that some samples take.
private struct Scenario {
    let serving: BatchedServing
    /// [samples], in order of arrival.
    let exits: [Int]

    /// Draws a server with 1 to 5 exits and batches of 1 to 12, and 1 to 60 samples that prefer some exit.
    ///
    /// - Parameters:
    ///   - curve: draws a curve that goes at least to the batch size it is given.
    init(using generator: inout SplitMix64, curve: (Int, inout SplitMix64) -> BatchCostCurve) {
        let exitCount = Int.random(in: 1...5, using: &generator)
        let batchSize = Int.random(in: 1...12, using: &generator)
        let stages = (0..<exitCount).map { _ in curve(batchSize, &generator) }
        serving = BatchedServing(stages: stages, batchSize: batchSize)
        let favourite = Int.random(in: 0..<exitCount, using: &generator)
        exits = (0..<Int.random(in: 1...60, using: &generator)).map { _ in
            Bool.random(using: &generator) ? favourite : Int.random(in: 0..<exitCount, using: &generator)
        }
    }

    /// [exits]: how many samples leave at each exit.
    var released: [Int] { serving.stages.indices.map { exit in exits.count { $0 == exit } } }

    /// Mean milliseconds for each sample of both servers, batch by batch, samples moved about in lists.
    var simulated: (regrouped: Double, shrinking: Double) {
        var (regrouped, shrinking) = (0.0, 0.0)
        var queue = exits
        var batches = slices(of: exits)
        for (exit, stage) in serving.stages.enumerated() {
            for batch in slices(of: queue) { regrouped += stage.cost(ofBatch: batch.count) }
            for batch in batches where !batch.isEmpty { shrinking += stage.cost(ofBatch: batch.count) }
            queue.removeAll { $0 == exit }
            batches = batches.map { $0.filter { $0 != exit } }
        }
        return (regrouped / Double(exits.count), shrinking / Double(exits.count))
    }

    /// A queue cut into batches.
    func slices(of queue: [Int]) -> [[Int]] {
        var (rest, batches) = (queue[...], [[Int]]())
        while !rest.isEmpty {
            batches.append(Array(rest.prefix(serving.batchSize)))
            rest = rest.dropFirst(serving.batchSize)
        }
        return batches
    }
}

extension BatchCostCurve {
    /// A fixed time for each batch and a time for each sample, measured at 1 and at a size.
    fileprivate static func line(_ fixed: Double, _ each: Double, to size: Int) -> BatchCostCurve {
        let sizes = size == 1 ? [1] : [1, size]
        return BatchCostCurve(sizes.map { Point(batchSize: $0, milliseconds: fixed + each * Double($0)) })
    }

    /// Every size measured; a further sample takes a random share of what the one before it took.
    fileprivate static func concave(upTo size: Int, using generator: inout SplitMix64) -> BatchCostCurve {
        var (step, time) = (Double.random(in: 0.5...5, using: &generator), 0.0)
        return BatchCostCurve(
            (1...size).map {
                time += step
                step *= Double.random(in: 0.3...1, using: &generator)
                return Point(batchSize: $0, milliseconds: time)
            })
    }

    /// Any times at any sizes, also falling ones; goes to the size or beyond it.
    fileprivate static func anything(upTo size: Int, using generator: inout SplitMix64) -> BatchCostCurve {
        let last = Int.random(in: size...(size + 3), using: &generator)
        let sizes = (1...last).filter { $0 == last || Bool.random(using: &generator) }
        return BatchCostCurve(
            sizes.map { Point(batchSize: $0, milliseconds: Double.random(in: 0.1...9, using: &generator)) })
    }
}
