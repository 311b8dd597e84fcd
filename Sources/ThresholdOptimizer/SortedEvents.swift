import LinearAlgebra

/// The events of a table by falling score, in buckets that can be worked on side by side.
///
/// Events are counted by bucket, written to their buckets, and the buckets sorted. Looking for the events twice costs
/// less than keeping them between the counting and the writing.
struct SortedEvents: Sendable {
    /// The events; the order among those of one score is not specified.
    let events: [ThresholdEvent]
    /// [buckets + 1]: where each bucket starts in `events`. Events of one score are in one bucket.
    let starts: [Int]

    /// How many samples a task looks at, at least.
    private static let taskSize = 4096
    /// How many tasks there are, at most: each keeps a count for every bucket.
    private static let maximumTasks = 256

    /// Sorts the events of a table.
    ///
    /// - Complexity: O(N L + E log E) for N samples, L exits and E events; memory 16 bytes an event.
    init(of maxima: RunningMaxima, threads: Int) {
        let samples = maxima.table.sampleCount
        let splitters = EventSplitters(of: maxima)
        let buckets = splitters.bucketCount
        let tasks = min(Self.maximumTasks, (samples + Self.taskSize - 1) / Self.taskSize)
        @Sendable func range(_ task: Int) -> Range<Int> { (samples * task / tasks)..<(samples * (task + 1) / tasks) }

        // [tasks][buckets]: how many events the task has for the bucket; then where it writes the next one.
        var places = [Int](repeating: 0, count: tasks * buckets)
        places.withUnsafeMutableBufferPointer { places in
            nonisolated(unsafe) let places = places
            Parallel.forEach(tasks, threads: threads) { task in
                let counts = UnsafeMutableBufferPointer(rebasing: places[(task * buckets)..<((task + 1) * buckets)])
                splitters.withSearch { search in
                    maxima.forEachEvent(of: range(task)) { counts[search.bucket(of: $0.key)] += 1 }
                }
            }
        }
        var ends = [0]
        var total = 0
        for bucket in 0..<buckets {
            for task in 0..<tasks {
                let count = places[task * buckets + bucket]
                places[task * buckets + bucket] = total
                total += count
            }
            ends.append(total)
        }
        let (starts, count) = (ends, total)
        self.starts = starts
        events = Array(unsafeUninitializedCapacity: count) { events, initializedCount in
            adviseHugePages(events)
            nonisolated(unsafe) let events = events
            places.withUnsafeMutableBufferPointer { places in
                nonisolated(unsafe) let places = places
                Parallel.forEach(tasks, threads: threads) { task in
                    let places = UnsafeMutableBufferPointer(rebasing: places[(task * buckets)..<((task + 1) * buckets)])
                    splitters.withSearch { search in
                        maxima.forEachEvent(of: range(task)) { event in
                            let bucket = search.bucket(of: event.key)
                            events.initializeElement(at: places[bucket], to: event)
                            places[bucket] += 1
                        }
                    }
                }
            }
            Parallel.forEach(buckets, threads: threads) { bucket in
                sortByKey(UnsafeMutableBufferPointer(rebasing: events[starts[bucket]..<starts[bucket + 1]]))
            }
            initializedCount = count
        }
    }
}
