extension ScoreRanking {
    /// The thresholds that release the highest k/count of the scores, k = 1...count, falling, without repeats.
    ///
    /// - Complexity: O(count + distinct scores).
    func quantiles(count: Int) -> [Double] {
        var cuts: [Int] = []
        var cut = 0
        for step in 1..<(count + 1) {
            // The smallest cut that releases at least this share.
            let share = (order.count * step + count - 1) / count
            while ends[cut] < share { cut += 1 }
            if cut > 0, cuts.last != cut { cuts.append(cut) }
        }
        return cuts.compactMap { threshold(cut: $0) }
    }
}
