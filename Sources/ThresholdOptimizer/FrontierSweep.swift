import ExitRules
import LinearAlgebra

/// Applies the events of a table by falling score, all of one score together: bucket by bucket, each bucket from what
/// the buckets before have changed.
struct FrontierSweep: Sendable {
    /// The table.
    let table: ScoreTable
    /// Its events.
    let sorted: SortedEvents
    /// How many threads to use.
    let threads: Int

    /// Where samples leave and what flips there are, or how that changes over a bucket. Whole numbers, so the sums
    /// are the same in any order.
    private struct Counts {
        /// [exits]: how many samples leave there.
        var released: [Int]
        /// Early wrong and reference right.
        var harmful = 0
        /// Early right and reference wrong.
        var helpful = 0
        /// How many points there are.
        var points = 0

        mutating func add(_ other: Counts) {
            for exit in released.indices { released[exit] += other.released[exit] }
            harmful += other.harmful
            helpful += other.helpful
            points += other.points
        }
    }

    /// The points by falling threshold, "never leave early" first.
    ///
    /// - Complexity: O(E + P L) for E events, P points and L exits.
    func points() -> [SingleThresholdFrontier.Point] {
        var counts = countsOfFinalLayer()
        let never = SingleThresholdFrontier.Point(
            threshold: nil, costSum: totalCost(released: counts.released, costs: table.costs),
            harmfulFlips: counts.harmful, helpfulFlips: counts.helpful)
        counts.points = 1
        let buckets = sorted.starts.count - 1
        let starts = Parallel.map(buckets, threads: threads, change(ofBucket:)).map { change in
            defer { counts.add(change) }
            return counts
        }
        return Array(unsafeUninitializedCapacity: counts.points) { points, initializedCount in
            adviseHugePages(points)
            points.initializeElement(at: 0, to: never)
            nonisolated(unsafe) let points = points
            Parallel.forEach(buckets, threads: threads) { sweep(bucket: $0, from: starts[$0], into: points) }
            initializedCount = counts.points
        }
    }

    /// Everyone at the end. There are flips where the final layer is not the reference.
    private func countsOfFinalLayer() -> Counts {
        let final = table.exitCount - 1
        var counts = Counts(released: Array(repeating: 0, count: final) + [table.sampleCount])
        table.isCorrect[final].withUnsafeBufferPointer { isCorrect in
            table.referenceIsCorrect.withUnsafeBufferPointer { reference in
                for sample in reference.indices {
                    counts.harmful += reference[sample] && !isCorrect[sample] ? 1 : 0
                    counts.helpful += !reference[sample] && isCorrect[sample] ? 1 : 0
                }
            }
        }
        return counts
    }

    /// All changes of a bucket together.
    private func change(ofBucket bucket: Int) -> Counts {
        var change = Counts(released: Array(repeating: 0, count: table.exitCount))
        var last: UInt64?
        sorted.events.withUnsafeBufferPointer { events in
            for event in events[sorted.starts[bucket]..<sorted.starts[bucket + 1]] {
                change.released[event.from] -= 1
                change.released[event.to] += 1
                change.harmful += event.harmful
                change.helpful += event.helpful
                change.points += event.key == last ? 0 : 1
                last = event.key
            }
        }
        return change
    }

    /// Writes the points of a bucket.
    private func sweep(
        bucket: Int, from start: Counts, into points: UnsafeMutableBufferPointer<SingleThresholdFrontier.Point>
    ) {
        var (harmful, helpful, place) = (start.harmful, start.helpful, start.points)
        // Whole numbers too, but as `totalCost` multiplies them; and its products, of which an event changes two.
        var released = start.released.map(Double.init)
        var terms = zip(released, table.costs).map(*)
        sorted.events.withUnsafeBufferPointer { events in
            table.costs.withUnsafeBufferPointer { costs in
                var index = sorted.starts[bucket]
                let end = sorted.starts[bucket + 1]
                while index < end {
                    let key = events[index].key
                    repeat {
                        let event = events[index]
                        released[event.from] -= 1
                        released[event.to] += 1
                        terms[event.from] = released[event.from] * costs[event.from]
                        terms[event.to] = released[event.to] * costs[event.to]
                        harmful += event.harmful
                        helpful += event.helpful
                        index += 1
                    } while index < end && events[index].key == key
                    // Exit by exit from the first on: the bits of `totalCost`.
                    var costSum = 0.0
                    for term in terms { costSum += term }
                    let next = index < events.count ? ThresholdEvent.score(of: events[index].key) : nil
                    points.initializeElement(
                        at: place,
                        to: SingleThresholdFrontier.Point(
                            threshold: thresholdBetween(ThresholdEvent.score(of: key), next: next), costSum: costSum,
                            harmfulFlips: harmful, helpfulFlips: helpful))
                    place += 1
                }
            }
        }
    }
}
