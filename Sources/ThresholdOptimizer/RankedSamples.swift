/// The samples that wait at an exit, by rank there: the order in which a falling threshold releases them.
struct RankedSamples: Sendable {
    /// The samples; within a rank by number.
    let samples: [Int]
    /// [ranks + 1]: samples of rank r are `samples[starts[r]..<starts[r + 1]]`; the last rank is "never".
    let starts: [Int]

    /// Sorts by counting.
    ///
    /// - Complexity: O(waiting + ranks + N / 64).
    init(_ waiting: SampleSet, ranks: [Int32], valueCount: Int) {
        var starts = Array(repeating: 0, count: valueCount + 2)
        waiting.forEach { starts[Int(ranks[$0]) + 1] += 1 }
        for rank in 1..<starts.count { starts[rank] += starts[rank - 1] }
        var next = starts
        var samples = Array(repeating: 0, count: starts[valueCount + 1])
        waiting.forEach { sample in
            let rank = Int(ranks[sample])
            samples[next[rank]] = sample
            next[rank] += 1
        }
        self.samples = samples
        self.starts = starts
    }

    /// Whether anyone leaves at a choice who would not at the choice before; "never" is a choice of its own.
    func isDistinct(choice: Int) -> Bool { choice == 0 || starts[choice - 1] < starts[choice] }
}
