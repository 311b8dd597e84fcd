/// Sorts events by key, in no particular order where keys are equal.
///
/// - Complexity: O(n) where keys are spread evenly enough, O(n log(largest key - smallest key)) at worst; as much memory
///   again.
/// - Reference: `Array.sort`, which the tests hold this against.
func sortByKey(_ events: UnsafeMutableBufferPointer<ThresholdEvent>) {
    guard events.count > 1 else { return }
    let room = UnsafeMutableBufferPointer<ThresholdEvent>.allocate(capacity: events.count)
    defer { room.deallocate() }
    sortByKey(events, room: room)
}

/// Up to so many events are sorted by insertion.
private let smallCount = 16
/// More cells than 2 to this number would not stay in the cache.
private let maximumCellBits = 14

/// The same with room for as many events, whose contents are lost.
private func sortByKey(
    _ events: UnsafeMutableBufferPointer<ThresholdEvent>, room: UnsafeMutableBufferPointer<ThresholdEvent>
) {
    let count = events.count
    guard count > smallCount else { return insertByKey(events, into: events) }
    var (least, greatest) = (UInt64.max, UInt64.min)
    for event in events {
        least = min(least, event.key)
        greatest = max(greatest, event.key)
    }
    guard least < greatest else { return }
    // Cells as wide as a power of two and as many as there are events, so that few share one. Each level starts from the
    // keys there are, so one far-off key wastes one level at most.
    let rangeBits = UInt64.bitWidth - (greatest - least).leadingZeroBitCount
    let cellBits = min(maximumCellBits, Int.bitWidth - count.leadingZeroBitCount)
    let shift = UInt64(max(0, rangeBits - cellBits))
    let cells = Int((greatest - least) >> shift) + 1
    withUnsafeTemporaryAllocation(of: Int.self, capacity: cells) { ends in
        ends.initialize(repeating: 0)
        for event in events { ends[Int((event.key - least) >> shift)] += 1 }
        var total = 0
        for cell in 0..<cells {
            let count = ends[cell]
            ends[cell] = total
            total += count
        }
        for event in events {
            let cell = Int((event.key - least) >> shift)
            room.initializeElement(at: ends[cell], to: event)
            ends[cell] += 1
        }
        // In a cell of width 1 all keys are equal.
        guard shift > 0 else { return }
        var start = 0
        for end in ends {
            if end - start > smallCount {
                sortByKey(
                    UnsafeMutableBufferPointer(rebasing: room[start..<end]),
                    room: UnsafeMutableBufferPointer(rebasing: events[start..<end]))
            }
            start = end
        }
    }
    // Only events of small cells are out of order, and only among themselves.
    insertByKey(room, into: events)
}

/// Copies events in the order of their keys; fast where that nearly is the order they have.
private func insertByKey(
    _ source: UnsafeMutableBufferPointer<ThresholdEvent>, into target: UnsafeMutableBufferPointer<ThresholdEvent>
) {
    for index in source.indices {
        let event = source[index]
        var place = index
        while place > 0 && target[place - 1].key > event.key {
            target[place] = target[place - 1]
            place -= 1
        }
        target[place] = event
    }
}
