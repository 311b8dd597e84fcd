/// The index of the first of falling thresholds that a score meets; their end where it meets none. A score that is not a
/// number meets none.
///
/// - Complexity: O(log thresholds).
@inline(__always)
func firstMet(by score: Double, in thresholds: ArraySlice<Double>) -> Int {
    var (low, high) = (thresholds.startIndex, thresholds.endIndex)
    while low < high {
        let middle = (low + high) / 2
        if score >= thresholds[middle] { high = middle } else { low = middle + 1 }
    }
    return low
}
