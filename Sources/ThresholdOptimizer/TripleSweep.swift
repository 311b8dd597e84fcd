/// The least sum of gains over all choices at three exits: each sample adds the gain of the first of the three that
/// releases it, and nothing when none does.
///
/// Samples are counted into cells by rank at the second exit and choice at the third. Adding up rows gives the sums of
/// all pairs of choices; when the choice at the first exit moves on, those whom it releases are taken out of their cells.
struct TripleSweep {
    /// For each choice at the first exit the least sum; infinite where a choice is not distinct.
    private(set) var minima: [Double]
    /// Choices at the three exits with the least sum of all.
    private(set) var choices = [0, 0, 0]

    private let ranks: (second: [Int], third: [Int])
    private let gains: [[Double]]
    /// The last choice at the third exit.
    private let lastChoice: Int
    /// How many blocks of four choices at the third exit a row has.
    private let width: Int
    /// [ranks at the second exit][blocks]: for a rank and a choice, the gains at the third exit of those it releases. Past
    /// the last choice it goes on as if the choice were the last.
    private var cells: [SIMD4<Double>]
    /// [ranks at the second exit]: the gains at the second exit.
    private var rows: [Double]

    /// Sweeps.
    ///
    /// - Parameters:
    ///   - waiting: the samples by rank at the first exit; the other parameters are in this order.
    ///   - ranks: [waiting] at the second and third exit.
    ///   - valueCounts: how many thresholds there are.
    ///   - gains: [3][waiting].
    /// - Complexity: O(waiting * K + K^3).
    init(
        waiting: RankedSamples, ranks: (second: [Int], third: [Int]), valueCounts: (second: Int, third: Int),
        gains: [[Double]]
    ) {
        self.ranks = ranks
        self.gains = gains
        lastChoice = valueCounts.third
        width = lastChoice / 4 + 1
        cells = Array(repeating: .zero, count: (valueCounts.second + 1) * width)
        rows = Array(repeating: 0, count: valueCounts.second + 1)
        minima = Array(repeating: .infinity, count: waiting.starts.count - 1)
        for index in waiting.samples.indices { add(index, sign: 1) }
        var sum = 0.0
        var least = Double.infinity
        for choice in minima.indices where waiting.isDistinct(choice: choice) {
            if choice > 0 {
                for index in waiting.starts[choice - 1]..<waiting.starts[choice] {
                    sum += gains[0][index]
                    add(index, sign: -1)
                }
            }
            let pair = leastPair()
            minima[choice] = sum + pair.sum
            if minima[choice] < least {
                least = minima[choice]
                choices = [choice, pair.second, thirdChoice(second: pair.second)]
            }
        }
    }

    /// [4]: 1 for the lanes from this one on.
    private static let lanesFrom: [SIMD4<Double>] = [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]

    /// Adds the gains of a sample, or takes them out.
    private mutating func add(_ index: Int, sign: Double) {
        let row = ranks.second[index]
        rows[row] += sign * gains[1][index]
        let gain = sign * gains[2][index]
        // The smallest choice at the third exit that releases it.
        let choice = ranks.third[index] + 1
        guard choice <= lastChoice else { return }
        let start = row * width + choice / 4
        cells[start] += gain * Self.lanesFrom[choice % 4]
        let end = (row + 1) * width
        cells.withUnsafeMutableBufferPointer { cells in
            var place = start + 1
            while place < end {
                cells[place] += gain
                place += 1
            }
        }
    }

    /// The least sum over the choices at the second and third exit, and the choice at the second.
    private func leastPair() -> (sum: Double, second: Int) {
        var rowSum = rows.dropLast().reduce(0, +)
        var sums = Array(repeating: SIMD4<Double>.zero, count: width)
        var least = (sum: Double.infinity, second: 0)
        cells.withUnsafeBufferPointer { cells in
            sums.withUnsafeMutableBufferPointer { sums in
                // From everyone who can leave at the second exit up to "never": each row adds to those who go on.
                for second in rows.indices.reversed() {
                    var smallest = SIMD4<Double>(repeating: .infinity)
                    for block in 0..<width {
                        sums[block] += cells[second * width + block]
                        smallest = pointwiseMin(smallest, sums[block])
                    }
                    let sum = rowSum + smallest.min()
                    if sum < least.sum { least = (sum, second) }
                    if second > 0 { rowSum -= rows[second - 1] }
                }
            }
        }
        return least
    }

    /// The best choice at the third exit for a choice at the second.
    private func thirdChoice(second: Int) -> Int {
        var best = (sum: Double.infinity, choice: 0)
        for block in 0..<width {
            var sums = SIMD4<Double>.zero
            for row in second..<rows.count { sums += cells[row * width + block] }
            for lane in 0..<4 where sums[lane] < best.sum { best = (sums[lane], 4 * block + lane) }
        }
        return best.choice
    }
}
