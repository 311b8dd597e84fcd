extension Array {
    /// Writes a value where a rank is below a cut.
    ///
    /// - Complexity: O(count), in vectors: a selection, not a branch.
    @inline(__always)
    mutating func overwrite(with value: Element, where ranks: [Int32], areBelow cut: Int) {
        guard cut > 0 else { return }
        precondition(ranks.count == count, "a rank for each element")
        let limit = Int32(cut)
        withUnsafeMutableBufferPointer { row in
            ranks.withUnsafeBufferPointer { ranks in
                for index in row.indices { row[index] = ranks[index] < limit ? value : row[index] }
            }
        }
    }

    /// Writes the values of another array where a rank is below a cut.
    ///
    /// - Complexity: O(count), in vectors: a selection, not a branch.
    @inline(__always)
    mutating func overwrite(with values: [Element], where ranks: [Int32], areBelow cut: Int) {
        guard cut > 0 else { return }
        precondition(ranks.count == count && values.count == count, "a rank and a value for each element")
        let limit = Int32(cut)
        withUnsafeMutableBufferPointer { row in
            ranks.withUnsafeBufferPointer { ranks in
                values.withUnsafeBufferPointer { values in
                    for index in row.indices {
                        // Read on both sides, or the loop is no selection.
                        let value = values[index]
                        row[index] = ranks[index] < limit ? value : row[index]
                    }
                }
            }
        }
    }
}
