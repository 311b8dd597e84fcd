/// Keys that part the events of a table into buckets of about equal size, whatever the scores look like.
///
/// - Reference: W. D. Frazer and A. C. McKellar (1970), "Samplesort: a sampling approach to minimal storage tree sorting".
struct EventSplitters: Sendable {
    /// The splitters, rising: a key's bucket is the number of smaller ones.
    private let keys: [UInt64]
    /// [cells + 1]: how many splitters lie below each of many cells of equal width.
    private let below: [UInt16]
    /// Where the first cell starts.
    private let least: UInt64
    /// The width of a cell is 2 to this number.
    private let shift: UInt64

    /// How many buckets there are.
    var bucketCount: Int { keys.count + 1 }

    /// How many events a bucket should have: about what a core's own cache holds.
    private static let bucketSize = 32_768
    /// More buckets than this would be too many places to write to in turn.
    private static let maximumCount = 512
    /// How many neighbouring samples are drawn at once.
    private static let runLength = 8
    /// How many runs are drawn at most: 32 samples for every bucket.
    private static let maximumRuns = 2048
    /// Many more cells than buckets: where scores are spread evenly most cells have no splitter, and the search among
    /// the splitters of a cell ends before it starts.
    private static let cellBits = 12

    /// Chooses splitters from the events of samples that lie evenly over the table.
    ///
    /// - Complexity: O(exits): some 16,000 samples are drawn at most.
    init(of maxima: RunningMaxima) {
        let samples = maxima.table.sampleCount
        // Few samples are one bucket, for which no splitters are needed.
        let runs = min(Self.maximumRuns, samples / (256 * Self.runLength))
        var drawn: [UInt64] = []
        for run in 0..<runs {
            let start = samples * run / runs
            maxima.forEachEvent(of: start..<(start + Self.runLength)) { drawn.append($0.key) }
        }
        drawn.sort()
        let events = runs == 0 ? 0 : drawn.count * samples / (runs * Self.runLength)
        let buckets = max(1, min(Self.maximumCount, events / Self.bucketSize))
        let keys = (1..<buckets).map { drawn[$0 * drawn.count / buckets] }
        let least = keys.first ?? 0
        let range = (keys.last ?? 0) - least
        let shift = UInt64(max(0, UInt64.bitWidth - range.leadingZeroBitCount - Self.cellBits))
        var below = [UInt16](repeating: 0, count: Int(range >> shift) + 2)
        for key in keys { below[Int((key - least) >> shift) + 1] += 1 }
        for cell in 1..<below.count { below[cell] += below[cell - 1] }
        self.keys = keys
        self.below = below
        self.least = least
        self.shift = shift
    }

    /// Looks keys up; a type and not a closure, because the compiler inlines its function wherever it is called.
    struct Search {
        fileprivate let keys: UnsafeBufferPointer<UInt64>
        fileprivate let below: UnsafeBufferPointer<UInt16>
        fileprivate let least: UInt64
        fileprivate let shift: UInt64

        /// The bucket of a key; equal keys share one, and no key of a bucket is larger than one of the next.
        ///
        /// - Complexity: O(1) where scores are spread evenly, O(log(buckets)) at worst.
        @inline(__always)
        func bucket(of key: UInt64) -> Int {
            let cell = Int(min(UInt64(below.count - 2), (max(key, least) - least) >> shift))
            var (low, high) = (Int(below[cell]), Int(below[cell + 1]))
            while low < high {
                let middle = (low + high) / 2
                if keys[middle] < key { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// Calls with what looks keys up.
    @inline(__always)
    func withSearch(_ body: (Search) -> Void) {
        keys.withUnsafeBufferPointer { keys in
            below.withUnsafeBufferPointer { below in
                body(Search(keys: keys, below: below, least: least, shift: shift))
            }
        }
    }
}
