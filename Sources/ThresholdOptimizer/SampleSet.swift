/// A set of samples as bits, 64 a word: what a node of a search intersects and counts.
struct SampleSet: Equatable, Sendable {
    /// [words]: bit i of word k is sample `64 * k + i`; bits past the last sample are 0.
    private(set) var words: [UInt64]

    /// The samples for which a condition holds.
    init(sampleCount: Int, where contains: (Int) -> Bool) {
        words = Array(repeating: 0, count: (sampleCount + 63) / 64)
        for sample in 0..<sampleCount where contains(sample) { words[sample / 64] |= 1 << UInt64(sample % 64) }
    }

    /// How many samples there are.
    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// How many of them are in another set too.
    func count(in other: SampleSet) -> Int {
        var count = 0
        for index in words.indices { count += (words[index] & other.words[index]).nonzeroBitCount }
        return count
    }

    /// The samples that are in another set too.
    func intersection(_ other: SampleSet) -> SampleSet {
        var result = self
        for index in words.indices { result.words[index] &= other.words[index] }
        return result
    }

    /// Takes the samples of another set out.
    mutating func subtract(_ other: SampleSet) {
        for index in words.indices { words[index] &= ~other.words[index] }
    }

    /// Calls a function with every sample, in order.
    func forEach(_ body: (Int) -> Void) {
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                body(64 * index + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }
}
