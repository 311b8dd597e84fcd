import ExitRules
import LinearAlgebra
import Ranks

/// Events that ranks share in segments of the scores, falling: what is known of each is exact, wherever in it the events
/// are.
///
/// Each rank has its own events, sorted. Segments are divided by the bits of the scores until none has more than a share of
/// all events, or is a single score; what ranks exchange for that depends on how many segments there are, not on how many
/// events.
struct EventSegments {
    /// What all ranks together have between two scores.
    struct Segment {
        /// Its keys, from the first to the last that may be.
        var keys: ClosedRange<UInt64>
        /// How many events there are.
        var events: Int
        /// The first and the last key that occurs; the scores fall from the first to the last.
        var first: UInt64
        var last: UInt64
        /// [exits]: by how much the number of samples that leave there changes along the segment.
        var released: [Int]
        /// By how much harmful and helpful flips change.
        var harmful: Int
        var helpful: Int
        /// The most by which the excess can fall anywhere within it.
        var fall: Int

        /// Whether policies begin inside it, and not at its end alone.
        var hasInside: Bool { first != last }
    }

    /// What flips count in the excess that a search keeps low: so much a harmful one, less so much a helpful one.
    struct Prices {
        var harmful = 1
        var helpful = 1

        /// The change of the excess.
        func excess(harmful: Int, helpful: Int) -> Int { self.harmful * harmful - self.helpful * helpful }
    }

    /// By falling scores.
    private let events: [ThresholdEvent]
    private let prices: Prices
    private let exitCount: Int
    private let ranks: any Communicator
    /// By falling scores; each has events.
    private(set) var segments: [Segment] = []

    /// A segment is divided into so many.
    private static let fanOut: UInt64 = 16

    /// Divides events into segments.
    ///
    /// - Parameters:
    ///   - events: this rank's, by falling scores.
    ///   - exitCount: how many exits there are.
    ///   - ranks: who has the others.
    ///   - most: about how many segments there may be; with fewer events than that each score is one.
    ///   - prices: of flips.
    /// - Complexity: O(events) for each of up to 16 exchanges of O(most * exits) numbers.
    init(
        _ events: [ThresholdEvent], exitCount: Int, among ranks: any Communicator, most: Int, prices: Prices = Prices()
    ) {
        self.events = events
        self.exitCount = exitCount
        self.ranks = ranks
        self.prices = prices
        let total = ranks.sums([events.count])[0]
        guard total > 0 else { return }
        segments = measured([0...UInt64.max])
        let share = total <= most ? 1 : 2 * total / most
        while true {
            let large = segments.indices.filter { segments[$0].hasInside && segments[$0].events > share }
            if large.isEmpty { break }
            divide(large, upTo: share)
        }
    }

    /// A policy of the threshold at which the events are: those with a score from it up have happened.
    struct Place: Equatable {
        /// The score of the last of them.
        var score: Double
        /// How many of them there are.
        var events: Int
    }

    /// The last place with the least excess above a limit; nil is before all events. Segments are divided until none can hide a
    /// better one.
    ///
    /// - Parameter start: the excess before all events.
    mutating func lastOfLeastViolation(from start: Int, limit: Int) -> (place: Place?, violation: Int) {
        while true {
            var excess = start
            var best: (index: Int, violation: Int) = (-1, max(0, start - limit))
            var hidden: [(index: Int, least: Int)] = []
            for (index, segment) in segments.enumerated() {
                if segment.hasInside { hidden.append((index, max(0, excess - segment.fall - limit))) }
                excess += prices.excess(harmful: segment.harmful, helpful: segment.helpful)
                let violation = max(0, excess - limit)
                if violation <= best.violation { best = (index, violation) }
            }
            // What is inside a segment comes before its end.
            let uncertain = hidden.filter {
                $0.least < best.violation || ($0.least == best.violation && $0.index > best.index)
            }
            guard !uncertain.isEmpty else {
                guard best.index >= 0 else { return (nil, best.violation) }
                return (
                    Place(
                        score: ThresholdEvent.score(of: segments[best.index].last),
                        events: segments[...best.index].reduce(0) { $0 + $1.events }), best.violation
                )
            }
            // A few at a time, the last first: most will not have to be divided.
            divide(uncertain.suffix(64).map(\.index), upTo: 0)
        }
    }

    /// Divides some segments, and joins neighbouring parts that together have no more than a share.
    ///
    /// - Parameters:
    ///   - indices: rising; segments with an inside.
    ///   - share: 0 joins nothing.
    mutating func divide(_ indices: [Int], upTo share: Int) {
        var parts = measured(indices.flatMap { Self.parts(of: segments[$0]) })[...]
        var divided: [Segment] = []
        divided.reserveCapacity(segments.count + parts.count)
        var open = indices[...]
        for (index, segment) in segments.enumerated() {
            guard open.first == index else {
                divided.append(segment)
                continue
            }
            open.removeFirst()
            let start = divided.count
            while let part = parts.first, segment.keys.contains(part.first) {
                parts.removeFirst()
                if divided.count > start, divided[divided.count - 1].events + part.events <= share {
                    divided[divided.count - 1].append(part)
                } else {
                    divided.append(part)
                }
            }
        }
        segments = divided
    }

    /// Equal ranges of the keys from the first to the last that occurs.
    private static func parts(of segment: Segment) -> [ClosedRange<UInt64>] {
        let width = segment.last - segment.first
        let step = width / fanOut + 1
        return (0..<fanOut).compactMap { part in
            let (offset, overflows) = (step).multipliedReportingOverflow(by: part)
            guard !overflows, offset <= width else { return nil }
            let low = segment.first + offset
            return low...(width - offset < step ? segment.last : low + (step - 1))
        }
    }

    /// What all ranks have in some ranges of the keys; ranges without events are left out.
    private func measured(_ ranges: [ClosedRange<UInt64>]) -> [Segment] {
        // Per range: events, exits, harmful, helpful, fall. Keys: the last, and the first turned round.
        let size = exitCount + 4
        var counts = Array(repeating: 0, count: ranges.count * size)
        var keys = Array(repeating: UInt64(0), count: ranges.count * 2)
        events.withUnsafeBufferPointer { events in
            for (index, range) in ranges.enumerated() {
                var place = Self.firstIndex(notBelow: range.lowerBound, in: events)
                let start = place
                let base = index * size
                while place < events.count, events[place].key <= range.upperBound {
                    let event = events[place]
                    counts[base + 1 + event.from] -= 1
                    counts[base + 1 + event.to] += 1
                    counts[base + 1 + exitCount] += event.harmful
                    counts[base + 2 + exitCount] += event.helpful
                    counts[base + 3 + exitCount] += max(
                        0, -prices.excess(harmful: event.harmful, helpful: event.helpful))
                    place += 1
                }
                counts[base] = place - start
                guard place > start else { continue }
                keys[2 * index] = events[place - 1].key
                keys[2 * index + 1] = ~events[start].key
            }
        }
        let (sums, ends) = (ranks.sums(counts), ranks.maxima(keys))
        return ranges.indices.compactMap { index in
            let base = index * size
            guard sums[base] > 0 else { return nil }
            return Segment(
                keys: ranges[index], events: sums[base], first: ~ends[2 * index + 1], last: ends[2 * index],
                released: Array(sums[(base + 1)..<(base + 1 + exitCount)]), harmful: sums[base + 1 + exitCount],
                helpful: sums[base + 2 + exitCount], fall: sums[base + 3 + exitCount])
        }
    }

    /// Where the events of a key, or of a later one, begin.
    private static func firstIndex(notBelow key: UInt64, in events: UnsafeBufferPointer<ThresholdEvent>) -> Int {
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension EventSegments.Segment {
    /// Joins what follows.
    fileprivate mutating func append(_ other: Self) {
        keys = keys.lowerBound...other.keys.upperBound
        events += other.events
        last = other.last
        for exit in released.indices { released[exit] += other.released[exit] }
        harmful += other.harmful
        helpful += other.helpful
        fall += other.fall
    }
}
