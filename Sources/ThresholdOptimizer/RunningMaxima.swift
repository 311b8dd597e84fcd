import ExitRules

/// The events of a table, sample by sample: where a score exceeds all scores of the same sample before it.
struct RunningMaxima {
    /// The table.
    let table: ScoreTable

    /// How many samples are looked at together, exit after exit: their maxima and a row's scores stay in the
    /// first levels of the cache.
    private static let blockSize = 2048

    /// Calls with every event of some samples, in no order that matters.
    ///
    /// - Complexity: O(samples * exits); reads every row once, front to back.
    @inline(__always)
    func forEachEvent(of samples: Range<Int>, _ body: (ThresholdEvent) -> Void) {
        let size = min(samples.count, Self.blockSize)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: size) { maxima in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: size) { places in
                var start = samples.lowerBound
                while start < samples.upperBound {
                    let end = min(start + size, samples.upperBound)
                    forEachEvent(ofBlock: start..<end, maxima: maxima, places: places, body)
                    start = end
                }
            }
        }
    }

    /// The same for a block.
    ///
    /// - Parameters:
    ///   - maxima: [samples]: room for the largest score so far; NaN for none.
    ///   - places: [samples]: room for the exit of that score times two, plus 1 where its label is right.
    @inline(__always)
    private func forEachEvent(
        ofBlock samples: Range<Int>, maxima: UnsafeMutableBufferPointer<Double>,
        places: UnsafeMutableBufferPointer<UInt32>, _ body: (ThresholdEvent) -> Void
    ) {
        let final = table.exitCount - 1
        let first = samples.lowerBound
        for index in 0..<samples.count { maxima[index] = .nan }
        table.referenceIsCorrect.withUnsafeBufferPointer { reference in
            /// A maximum's exit is taken between it and the next one, so its event is complete when that is known.
            @inline(__always)
            func close(_ index: Int, maximum: Double, from: Int, isRight: Bool) {
                let place = places[index]
                let change = (isRight ? 1 : 0) - Int(place & 1)
                let isReferenceRight = reference[first + index]
                body(
                    ThresholdEvent(
                        score: maximum, from: from, to: Int(place >> 1), harmful: isReferenceRight ? change : 0,
                        helpful: isReferenceRight ? 0 : -change))
            }
            for exit in 0..<final {
                table.scores[exit].withUnsafeBufferPointer { scores in
                    table.isCorrect[exit].withUnsafeBufferPointer { isCorrect in
                        for index in 0..<samples.count {
                            let (score, maximum) = (scores[first + index], maxima[index])
                            // False for a score that is not a number: it never meets a threshold. True for the
                            // first that is one.
                            guard !(score <= maximum) && score == score else { continue }
                            let isRight = isCorrect[first + index]
                            if maximum == maximum { close(index, maximum: maximum, from: exit, isRight: isRight) }
                            maxima[index] = score
                            places[index] = UInt32(truncatingIfNeeded: exit) << 1 | (isRight ? 1 : 0)
                        }
                    }
                }
            }
            // Above its largest score a sample goes to the end.
            table.isCorrect[final].withUnsafeBufferPointer { isCorrect in
                for index in 0..<samples.count where maxima[index] == maxima[index] {
                    close(index, maximum: maxima[index], from: final, isRight: isCorrect[first + index])
                }
            }
        }
    }
}
